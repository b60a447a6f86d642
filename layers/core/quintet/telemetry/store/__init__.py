"""What telemetry keeps: series, receipts, rewards, and how long."""
