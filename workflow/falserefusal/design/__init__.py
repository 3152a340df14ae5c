"""Monte Carlo designs: which personas and templates each sampled text is combined with.

`monte_carlo.make_design` is the entry point. `nested` is the paper's scheme, `blocked` is the one for new studies,
`sequential` sets when interim looks happen, and `balance` has the counts of Tables 5 and 6 with their tests. This file
imports nothing, so that `sequential` can be imported where start-up time matters.
"""
