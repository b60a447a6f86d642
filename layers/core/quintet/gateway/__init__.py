"""Every model call of the system: choose, reserve, call, settle, record, learn."""
