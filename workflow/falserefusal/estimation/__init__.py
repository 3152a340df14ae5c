"""Estimation: from the verdicts of all models to rates, persona effects, importance, regression and claims."""
