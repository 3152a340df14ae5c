"""Match responses that were made elsewhere with the prompts of the study that they respond to."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0], snakemake.params):
    import logging

    import pandas as pd

    from falserefusal.common.files import read_parquet, write_json, write_parquet
    from falserefusal.common.schemas import DESIGN, PROMPTS, RESPONSES
    from falserefusal.exchange.levels import named
    from falserefusal.exchange.stages import record_of, responses_to
    from falserefusal.exchange.tidy import read_responses

    files, out, params = snakemake.input, snakemake.output, snakemake.params
    given, read = params.given, params.get("read")
    prompts = pd.concat([read_parquet(path, PROMPTS) for path in files.prompts], ignore_index=True)
    frame = read_responses(given)
    models = {"models": params.names["models"]}  # personas and templates are those of the prompts
    responses, verdicts = responses_to(prompts, read_parquet(files.design, DESIGN), named(frame, models))
    for number, model in enumerate(params.models):
        own = responses[model]
        write_parquet(own, out.responses[number], RESPONSES, read)
        write_json(record_of(model, given, params.words[model], read or {}), out.records[number])
        if verdicts:
            write_parquet(verdicts[model], out.verdicts[number], read=read)
        if lost := len(prompts) - len(own):
            logging.getLogger("falserefusal").warning(f"{model}: no response to {lost} of {len(prompts)} prompts")
    print(f"{len(frame)} responses of {len(params.models)} models to {len(prompts)} prompts")
