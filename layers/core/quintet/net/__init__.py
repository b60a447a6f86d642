"""How we reach out: one HTTP client for vendors, webhooks and the fast path to tables, and the guard of targets."""
