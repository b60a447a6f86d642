"""The vendors of models: one thin adapter each, and nothing about vendors anywhere else."""
