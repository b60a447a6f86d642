"""Where budgets and purses lie: definitions in a table of their own, a caller's money on its account."""
