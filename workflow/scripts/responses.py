"""Generate one model's responses to its prompts; stored responses are reused."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0], snakemake.params):
    import os
    from pathlib import Path

    if snakemake.input.get("weights"):  # the weights are in the cache, and a compute node may have no network
        os.environ["HF_HUB_OFFLINE"] = "1"
    if snakemake.input.get("folder"):  # weights that are deleted after use, in the layout of that cache
        os.environ["HF_HUB_CACHE"] = str(Path(snakemake.input.folder).absolute())

    import pandas as pd

    from falserefusal.common.files import read_json, read_parquet, write_json, write_parquet
    from falserefusal.common.hashes import portable
    from falserefusal.common.schemas import ALL, DESIGN, PROMPTS, RESPONSES
    from falserefusal.inference import EarlyDecision, model_settings, respond
    from falserefusal.inference.devices import claim_gpus
    from falserefusal.labelling.phrase_list import decided, matched_phrase
    from falserefusal.study.materials import load_phrases
    from falserefusal.study.resources import require_gpus

    model, inference = dict(snakemake.params.model), snakemake.params.inference
    gpus = snakemake.resources.get("gpu", 0)
    require_gpus(model["model"], snakemake.params.get("gpus", 0), gpus)
    model["planned_batch_tokens"] = snakemake.params.get("planned_batch_tokens")
    if snakemake.input.get("weights"):
        model["revision"] = read_json(snakemake.input.weights)["revision"]
    prompts = pd.concat([read_parquet(path, PROMPTS) for path in snakemake.input.prompts], ignore_index=True)
    if snakemake.input.get("design"):  # a model may have prompts of its own
        design = read_parquet(snakemake.input.design, DESIGN, columns=list(DESIGN.columns))
        mine = design.loc[design["model"].isin([ALL, model["model"]]), "prompt_id"]
        prompts = prompts[prompts["prompt_id"].isin(mine)]
    if snakemake.params.get("look") is not None:  # all prompts so far; most responses are stored already
        design = read_parquet(snakemake.input.design, DESIGN)
        asked = design.loc[design["interim_look"] <= int(snakemake.params.look), "prompt_id"]
        prompts = prompts[prompts["prompt_id"].isin(asked)]
    stop = None
    if snakemake.params.early:
        phrases, refusals_in_full = load_phrases(snakemake.input.phrases), inference["refusals_in_full"]

        def stop(text):
            return decided(text, phrases) and not (refusals_in_full and matched_phrase(text, phrases))

    claim_gpus(gpus)
    responses, provenance = respond(
        *model_settings(model, inference, snakemake.input.get("checkpoint"), snakemake.threads),
        prompts=prompts,
        store=snakemake.params.store,
        early=EarlyDecision(stop, inference["recheck_share"]),
        shard=tuple(snakemake.params.get("shard", (0, 1))),
    )
    write_parquet(responses, snakemake.output.responses, RESPONSES)
    read = {portable(path): entry for path, entry in snakemake.params.get("read", {}).items()}
    write_json(provenance | {"read": read}, snakemake.output.provenance)
