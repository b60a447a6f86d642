"""The WebSocket API: connections, one dispatcher, a protocol each for four documents."""
