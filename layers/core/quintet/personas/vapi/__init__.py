"""VAPI: who calls us by phone, and what became of it."""
