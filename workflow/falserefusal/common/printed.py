"""Names of the quantities that the paper prints. Needs no library."""

RATE = "model x task (Table 1)"
RATE_MEAN = "mean over models (section 4.2)"
BASELINE_RATE = "baseline (Figure 1)"
PERSONA_MEAN = "mean of a persona (section 4.4, Figure 2)"
PERSONA_BY_MODEL = "mean of a persona in a model (section 4.4, Figure 3)"
CELL = "model x task x persona (Figures 7-9)"
FORMAT = "model x task x format (Figures 4, 10, 11)"
IMPORTANCE = "importance (Figure 5)"
COEFFICIENT = "logit coefficient (Figure 6, Table 7)"
CLAIM = "claim"
# how many values of each the paper prints
QUANTITIES = {
    RATE: 48,
    RATE_MEAN: 3,
    BASELINE_RATE: 16,
    PERSONA_MEAN: 14,
    PERSONA_BY_MODEL: 3,
    CELL: 720,
    FORMAT: 144,
    IMPORTANCE: 4,
    COEFFICIENT: 39,
    CLAIM: 7,
}
