"""Who is calling, what they may do, and how often: one identity behind all five APIs."""
