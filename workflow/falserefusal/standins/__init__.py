"""Stand-ins: small real transformers checkpoints whose weights are written, not trained, with a planted truth.

A stand-in goes through exactly the code that a downloaded model goes through (AutoTokenizer, chat template, left
padding, generate, EOS, dtype), yet what it answers to every prompt is known beforehand, so a rehearsal of the study can
be held against the truth. It says nothing about the model whose name it borrows.
"""
