"""The table of partially pooled rates."""

from falserefusal.common.schemas import BASELINE
from falserefusal.estimation.pooling import shrunken_rates
from synthetic import cells_of, judge, nested


def test_table_pools_within_models_and_says_so():
    personas = ["atheist", "man", "woman"]
    outcomes, _ = judge(nested(40, 25, personas, 1), ["A", "B"], personas, [0.4, 0.1], 2)
    for source in (None, outcomes):
        table = shrunken_rates(cells_of(outcomes), ["task", "model"], source)
        assert len(table) == 3 * 2 * 3 and BASELINE not in set(table["persona"])
        group = table[(table["task"] == "nli") & (table["model"] == "A")]
        assert group["shrunken"].std() < group["rate"].std()
        assert table["method"].str.contains("shrunken").all()
