"""Decide which answers are refusals, say why, and measure how far the decision can be trusted.

A labeller is a function from a frame of answers (`answers.answers`) to one judgement for each row; `labels.label`
runs any number of them. Every study reports the paper's own (`phrases`) beside the others.
"""
