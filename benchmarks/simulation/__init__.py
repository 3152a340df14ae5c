"""Simulated worlds in which the estimators are tried: coverage, false findings, power."""
