"""Quintet: one identity, one model gateway, one ledger and one event log behind five agent APIs."""
