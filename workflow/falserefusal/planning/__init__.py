"""Estimate what a study costs (`estimate`, `plan`) and check that it can start (`preflight`).

This file imports nothing, so that `estimate` (plain arithmetic) can size jobs where start-up time matters.
"""
