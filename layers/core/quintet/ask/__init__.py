"""Prompts, streams and envelope encryption: toron.md."""
