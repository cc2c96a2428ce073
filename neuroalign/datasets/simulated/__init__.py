"""Simulated responses of known truth."""
