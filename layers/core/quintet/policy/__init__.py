"""Reinforcement-learning policies that remember: cyborgmind.md."""
