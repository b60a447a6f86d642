"""kyros.md's WebSocket: callers who follow the platform's log, from where they left it."""
