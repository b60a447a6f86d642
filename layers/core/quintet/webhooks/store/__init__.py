"""The webhooks tables: endpoints, their gates, and what became of every delivery."""
