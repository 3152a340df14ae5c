"""Describe the models that were asked (source, checksum, system prompt), and quote one refusal."""

from collections.abc import Mapping

import pandas as pd

from falserefusal.common.schemas import BASELINE
from falserefusal.common.sentences import say
from falserefusal.exchange.fields import NOT_GIVEN
from falserefusal.report.present import marked

SMALL = 1e9  # parameters; the paper's smallest model has 1.2 billion
DEQUANTIZED = (
    "The weights were converted back from a 4-bit file (its name is under “Models”). Responses may differ from "
    "those of the published model."
)
NOT_GREEDY = (
    "{}: asked without a temperature, because the server does not accept one. Responses are sampled with the server's "
    "default temperature and are not greedy, so another run can give other responses."
)
ONE_CHECKPOINT = (
    "All rows are one checkpoint under different system prompts. Differences between them are effects of the system "
    "prompt on this checkpoint; they do not compare models, families or generations."
)
LANGUAGES = {"de": "German", "es": "Spanish"}  # with words for labellers, which were tested less than the English ones
LANGUAGE = (
    "The language of the responses is {} (language: {}). {} Let people annotate a sample before you report rates."
)
TESTED = "Its patterns and phrases were tested only on invented responses."
OWN_WORDS = "The workflow has no patterns and no phrases for it: labellers use the study's own, or are models."

GATE_LIMITS = {  # by key of `models_asked`
    "lacks_bos": (
        "prompts have no BOS token, because the chat template writes none, although the tokenizer writes one before "
        "other texts. A model that was trained with BOS may respond differently without it."
    ),
    "header_added": (
        "the chat template ends a prompt without the header of the reply. The header that the template writes in a "
        "conversation was added."
    ),
}


def models_asked(provenance: Mapping | None) -> list[dict]:
    """Return source, checksum, dtype, number of parameters (0: unknown) and system prompt of each model.

    If the system prompt is empty, `preamble` is the text that the chat template writes before the user's text.
    `omitted`: whether it was asked without a temperature.
    """
    rows = []
    for name, about in (provenance or {}).get("models", {}).items():
        source, gate = about.get("source") or {}, about.get("gate") or {}
        package = f"{source['file']} of the Python package {source['package']} {source['version']}" if source else ""
        rows.append(
            {
                "model": name,
                "source": package or about.get("name", "unknown"),
                "fixed": about.get("responses_are", ""),  # of a dummy
                "checksum": f"sha256 {source['sha256']}" if source else about.get("revision", "unknown"),
                "dequantized": bool(source),
                "dtype": _dtype(about),
                "parameters": int(about.get("parameters") or 0),
                "system_prompt": about.get("system_prompt") or "",
                "preamble": gate.get("preamble", ""),
                "lacks_bos": bool(gate.get("tokenizer_adds_bos")) and gate.get("bos") == "none",
                "header_added": bool(gate.get("header_added")),
                "omitted": "temperature" in about.get("omitted", ()),
            }
        )
    return rows


def _dtype(about: Mapping) -> str:
    """The number format of the weights; of a served model, as far as its server reports it."""
    reported = about.get("reported")
    said = reported.get("dtype") if isinstance(reported, dict) else None
    return about.get("dtype") or said or "an unknown number format"


def limits_of(models: list[dict], variants: bool) -> list[str]:
    """Return the limitations that follow from the models of a study."""
    lines = [ONE_CHECKPOINT] if variants else []
    sizes = [model["parameters"] for model in models if model["parameters"]]
    if sizes and max(sizes) < SMALL:
        lines.append(
            f"The largest model asked has {max(sizes) / 1e6:,.0f} million parameters. It does not represent the "
            "paper's models, which have 1 to 33 billion."
        )
    if any(model["dequantized"] for model in models):
        lines.append(DEQUANTIZED)
    for key, what in GATE_LIMITS.items():
        if found := [model["model"] for model in models if model[key]]:
            lines.append(f"{', '.join(found)}: {what}")
    if sampled := [model["model"] for model in models if model["omitted"]]:
        lines.append(NOT_GREEDY.format(", ".join(sampled)))
    return lines


def language_limits(provenance: Mapping | None) -> list[str]:
    """Return which language the responses have, and how well its labellers were tested; nothing for English."""
    code = (provenance or {}).get("config", {}).get("language", "en")
    if code == "en":
        return []
    return [LANGUAGE.format(LANGUAGES.get(code, code), code, TESTED if code in LANGUAGES else OWN_WORDS)]


def batch_limits(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """Return how much responses depend on their batch; nothing where no prompt was asked again."""
    asked = tables["batch_check"].query("prompts > 0") if "batch_check" in tables else pd.DataFrame()
    if asked.empty:
        return []
    n = asked["prompts"]
    responses, verdicts = ((asked[f"{name}_changed"] * n).sum() / n.sum() for name in ("responses", "verdicts"))
    most = asked.loc[asked["difference"].abs().idxmax(), ["difference", "lo", "hi"]].to_dict()
    return [say("batches", n=int(n.sum()), responses=responses, verdicts=verdicts, **most)]


def one_refusal(refusals: pd.DataFrame | None, suffix: str) -> dict | None:
    """Return a refusal on which all labellers agree, from the model with the most of them, or None.

    Prompts with a persona are preferred. `system_text` is what the template adds to the system prompt ("" for nothing).
    """
    refusals = None if refusals is None else refusals[refusals["response"] != NOT_GIVEN]
    if refusals is None or refusals.empty:
        return None
    ranked = refusals.assign(baseline=refusals["persona"].eq(BASELINE))
    order = {"agreed": False, "model": True, "baseline": True, "prompt_id": True}
    row = ranked.sort_values(list(order), ascending=list(order.values())).iloc[0]
    return {
        "model": f"{row['model']}{suffix}",
        "task": row["task"],
        "prompt": row["prompt"],
        "system_text": "" if pd.isna(row["system_text"]) else row["system_text"],
        "response": marked(row["response"], "" if pd.isna(row["evidence"]) else row["evidence"]),
        "agreed": int(refusals.drop_duplicates("model")["agreed"].sum()),
    }
