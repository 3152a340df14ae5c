"""What a labeller can decide on one response. Importing this module is cheap: the config reads it in every job."""

REFUSED, ANSWERED, INVALID, MISSING = VERDICT_KINDS = ("refused", "answered", "invalid", "missing")
BLOCKED = "blocked_by_provider"  # category of a refusal: the provider's filter, not the model, refused
