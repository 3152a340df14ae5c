"""What a labeller can decide on one response. Importing this module is cheap: the config reads it in every job."""

REFUSED, ANSWERED, INVALID, MISSING = VERDICT_KINDS = ("refused", "answered", "invalid", "missing")
BLOCKED = "blocked_by_provider"  # category of a refusal: the provider's filter, not the model, refused
HEDGED = "hedged"  # category of an answer: it chooses an option, and also declines
REFUSED_PARTLY = "refused_partly"  # category of a refusal in free chat: it declines, and then answers in part
EXTENTS = ("full", "partial", "blocked")


def extent(verdict: str, category: str) -> str | None:
    """How a response is refused: full, partial (it declines and answers, whatever its verdict), blocked or None."""
    if category == BLOCKED:
        return "blocked"
    if category in (HEDGED, REFUSED_PARTLY):
        return "partial"
    return "full" if verdict == REFUSED else None
