"""Monte Carlo designs: which personas and templates each sampled text is asked under.

`monte_carlo.make_design` is the one interface; `nested` is the paper's scheme, `blocked` the one for new studies,
`rounds` the schedule of looks, `balance` the counts of Tables 5 and 6 with their tests. This file imports nothing,
so that `rounds` can be used where start-up time matters.
"""
