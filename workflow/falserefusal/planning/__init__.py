"""What a study will cost (`estimate`, `plan`) and whether it can start (`preflight`).

This file imports nothing, so that `estimate` (plain arithmetic) can size jobs where start-up time matters.
"""
