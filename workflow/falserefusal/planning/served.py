"""What models behind servers cost: requests, tokens, time at the concurrency of the server, and price."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

COLUMNS = ["model", "server", "requests", "prompt_tokens", "new_tokens", "concurrency", "hours", "price"]
# The assumptions that the cost of a model behind a server depends on.
OF_SERVERS = (
    "characters_per_token",
    "chat_template_tokens",
    "max_new_tokens",
    "responses_at_cap",
    "short_response_tokens",
    "server_first_token_seconds",
    "server_tokens_per_second",
)


def with_server_costs(models: pd.DataFrame, costs: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Add the columns concurrency, price_in and price_out to the models that servers compute.

    Parameters
    ----------
    models : DataFrame
        From `load_models`.
    costs : mapping
        The three values of each server, by its name in the config; prices are those of a million tokens, or None.
    """
    names = ("concurrency", "price_in", "price_out")
    found = {name: [costs.get(server, {}).get(name) for server in models["server"]] for name in names}
    return models.assign(**found)


def server_table(
    asked: Sequence[tuple[Mapping[str, Any], Mapping[str, float]]], assume: Mapping[str, Any]
) -> pd.DataFrame:
    """Return COLUMNS: one row for each model that a server computes, and a price only where both prices are known.

    Parameters
    ----------
    asked : sequence of (dict, dict)
        Row of the model with the columns of `with_server_costs`, and its load: prompts, prompt_tokens, new_tokens.
    assume : dict
        `roofline.ASSUMPTIONS`, complete.
    """
    rows = []
    for model, load in asked:
        tokens = load["prompt_tokens"], load["new_tokens"]
        busy = load["prompts"] * assume["server_first_token_seconds"] + tokens[1] / assume["server_tokens_per_second"]
        many = 1 if pd.isna(model["concurrency"]) else int(model["concurrency"])
        prices = model["price_in"], model["price_out"]
        price = None if any(map(pd.isna, prices)) else (tokens[0] * prices[0] + tokens[1] * prices[1]) / 1e6
        counts = (round(load["prompts"]), *map(round, tokens))
        rows.append((model["model"], model["server"], *counts, many, busy / many / 3600, price))
    return pd.DataFrame(rows, columns=COLUMNS)


def server_text(servers: pd.DataFrame) -> list[str]:
    """Lines about the models behind servers; none where there are none."""
    if servers.empty:
        return []
    table = servers[["model", "server"]].assign(requests=servers["requests"].map("{:,}".format))
    for name in ("prompt_tokens", "new_tokens"):
        table[f"{name.replace('_', ' ')}, M"] = (servers[name] / 1e6).map("{:,.2f}".format)
    table["at a time"] = servers["concurrency"]
    table["hours"] = servers["hours"].map("{:,.2f}".format)
    table["price"] = ["-" if pd.isna(price) else f"{price:,.2f}" for price in servers["price"]]
    unpriced = sorted(set(servers.loc[servers["price"].isna(), "server"]))
    return [
        "Per model behind a server (price in the currency of servers.<name>.price_in and price_out):",
        table.to_string(index=False),
        f"  All of them: {servers['hours'].sum():,.2f} hours one after the other, price "
        f"{'unknown' if unpriced else format(servers['price'].sum(), ',.2f')}.",
        *(f"  For a price, set servers.{name}.price_in and price_out." for name in unpriced),
        "  A model that thinks before it responds, or repeated attempts, cost more.",
        "",
    ]
