"""The WebSocket API: connections, who stands behind them, and the way back to them. Four protocols plug in."""
