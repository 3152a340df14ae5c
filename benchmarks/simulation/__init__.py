"""Simulation: coverage, false positives and power of the estimators in worlds with known rates."""
