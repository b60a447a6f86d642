"""Five characters with a phone, a Slack and a daily life: tron.md."""
