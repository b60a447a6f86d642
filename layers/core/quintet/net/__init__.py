"""How we reach out: one HTTP client for vendors, webhooks and the database's fast path, and the guard of its targets."""
