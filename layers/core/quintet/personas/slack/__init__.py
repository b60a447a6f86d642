"""Slack: who mentions us, and what we answer in the thread."""
