"""What the system tells of itself: one record a request, logs, metrics and traces."""
