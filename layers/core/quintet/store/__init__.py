"""What every table shares: the base model, transactions, the signed fast path, secrets, clock and ids."""
