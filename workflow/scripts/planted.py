"""Compute the response of every stand-in to every prompt, and the planted rate of every cell."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0], snakemake.params):
    import pandas as pd

    from falserefusal.common.files import read_parquet, write_parquet
    from falserefusal.common.notice import write_table
    from falserefusal.common.schemas import ALL, DESIGN, PROMPTS, TEXTS
    from falserefusal.standins.chat import System
    from falserefusal.standins.enumeration import Asked, persona_rates, planted_cells, planted_prompts
    from falserefusal.study.materials import load_personas, load_phrases, load_templates

    files, params = snakemake.input, snakemake.params
    texts = pd.concat([read_parquet(path, TEXTS) for path in files.texts], ignore_index=True)
    prompts = pd.concat([read_parquet(path, PROMPTS) for path in files.prompts], ignore_index=True)
    design = read_parquet(files.design, DESIGN)
    personas = load_personas(files.personas, keep=params.personas)
    templates = load_templates(files.templates, list(params.tasks), keep=params.templates)
    phrases, system = load_phrases(files.phrases), System(params.system, params.system_role)
    study = Asked(texts, personas, templates, params.tasks, params.article, system)
    cells = []
    for model, folder, path in zip(params.models, files.standins, snakemake.output.prompts, strict=True):
        mine = design[design["model"].isin([ALL, model])]
        asked = prompts[prompts["prompt_id"].isin(mine["prompt_id"])].reset_index(drop=True)
        responses = planted_prompts(folder, asked, mine, phrases, system.role)
        write_parquet(responses, path)
        cells.append(planted_cells(folder, study, phrases))
        refusals = responses["phrase_list_refusal"].sum()
        print(f"{model}: {refusals} of {len(responses)} responses are refusals by the phrase list")
    cells = pd.concat(cells, ignore_index=True)
    write_table(cells, snakemake.output.cells, params.get("notice"))
    write_table(persona_rates(cells), snakemake.output.personas, params.get("notice"))
