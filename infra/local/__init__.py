"""The embedded default: an emulator of AWS, a deploy into it, and a front that serves the HTTP and WebSocket APIs."""
