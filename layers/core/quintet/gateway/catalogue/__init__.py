"""What there is to call: providers, models, their prices, and how routing chooses among them by default."""
