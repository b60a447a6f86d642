"""The tables of the task platform."""
