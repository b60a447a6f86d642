"""The task platform, its agents and escalations: kyros.md."""
