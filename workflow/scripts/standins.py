"""Write a stand-in checkpoint for each model of the study, with planted refusal rates."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0], snakemake.params):
    import pandas as pd

    from falserefusal.common.files import read_csv, read_parquet
    from falserefusal.common.schemas import TEXTS
    from falserefusal.standins.chat import System
    from falserefusal.standins.questions import read_wordings
    from falserefusal.standins.rates import rates_from_published, rates_null
    from falserefusal.standins.sentences import read_sentences
    from falserefusal.standins.write import prepare, write_standin
    from falserefusal.study.materials import load_models, load_templates

    files, params = snakemake.input, snakemake.params
    templates = load_templates(files.templates, list(params.tasks), keep=params.templates)
    printed = [read_csv(files[name]) for name in ("counts", "formats", "baseline", "coefficients")]
    rates = rates_from_published(*printed, templates, params.models)
    if params.plant == "null":
        rates = rates_null(rates)
    materials = prepare(
        pd.concat([read_parquet(path, TEXTS) for path in files.texts], ignore_index=True),
        read_wordings(files.wordings),
        templates,
        params.tasks,
        read_sentences(files.sentences),
        params.seed,
        System(params.system, params.system_role),
    )
    models = load_models(files.models, keep=params.models).to_dict("records")
    for model, folder in zip(models, snakemake.output, strict=True):
        planted = write_standin(folder, model, materials, rates, params.plant)
        print(f"{folder}: stand-in named {model['model']}, {planted.model['dtype']}, {len(planted.cells)} cells")
