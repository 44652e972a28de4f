"""Trivial and linear baselines."""
