"""Budgets that cannot leak: the worst case is reserved before a call, what it really cost is settled once."""
