"""A function that cannot start."""

raise ValueError("the setting is missing")
