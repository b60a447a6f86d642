"""Vendors' keys under a password: sealed one by one, readable while an administrator has the vault open."""
