"""Draw the responses that people annotate; write a table, an annotation page, and a key to hide from annotators."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0], snakemake.params):
    import pandas as pd

    from falserefusal.annotation.page import annotation_page, makers_of, sample_id, shown_items
    from falserefusal.annotation.sample import draw_sample, population
    from falserefusal.common.files import read_parquet, write_csv, write_text
    from falserefusal.common.schemas import DESIGN, PROMPTS, RESPONSES, VERDICTS
    from falserefusal.study.materials import load_models, load_personas

    files, params = snakemake.input, snakemake.params
    personas = load_personas(files.personas)
    verdicts = {m: read_parquet(path, VERDICTS) for m, path in zip(params.models, files.verdicts, strict=True)}
    units = population(verdicts, read_parquet(files.design, DESIGN), personas)
    key = draw_sample(units, params.size, params.seed, params.shares)
    prompts = pd.concat([read_parquet(path, PROMPTS) for path in files.prompts], ignore_index=True)
    responses = []
    for model, path in zip(params.models, files.responses, strict=True):
        drawn = key.loc[key["model"] == model, "prompt_id"]
        own = read_parquet(path, RESPONSES)[["prompt_id", "response", "finish_reason"]]
        responses.append(own[own["prompt_id"].isin(drawn)].assign(model=model))
    surfaces = dict(zip(personas["persona"], personas["surface"], strict=True))
    makers = makers_of(load_models(files.models, keep=params.models))
    items = shown_items(key, prompts, pd.concat(responses, ignore_index=True), surfaces, params.options, makers)
    sample = sample_id(items)
    write_csv(items.assign(sample=sample), snakemake.output.sheet)
    write_csv(key.assign(sample=sample), snakemake.output.key)
    write_text(annotation_page(items, params.study, sample, params.banner), snakemake.output.page)
    print(key.groupby(["model", "stratum", "task"]).size().unstack("stratum", fill_value=0).to_string())
