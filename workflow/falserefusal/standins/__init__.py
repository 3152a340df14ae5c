"""Stand-ins: small real transformers checkpoints with planted refusal rates, whose weights are computed, not trained.

A stand-in runs through exactly the code that a downloaded model runs through (AutoTokenizer, chat template, left
padding, generate, EOS, dtype). Its response to every prompt is known in advance, so the estimates of a rehearsal can be
checked against the planted rates. It says nothing about the model whose name it borrows.
"""
