"""Decide which responses are refusals, say why, and compare labellers.

`labeller` states what a labeller is; `phrase_list`, `structured`, `judge` and `classifier` are the four that exist.
`verdicts.label` runs any number of them on the responses that `responses.with_questions` returns.
"""
