"""Render one task's prompts from the design."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0], snakemake.params):
    from falserefusal.common.files import read_parquet, write_parquet
    from falserefusal.common.schemas import DESIGN, PROMPTS, TEXTS
    from falserefusal.prompts.rendering import Wording, render
    from falserefusal.study.materials import load_personas, load_templates

    params = snakemake.params
    prompts = render(
        read_parquet(snakemake.input.design, DESIGN),
        read_parquet(snakemake.input.texts, TEXTS),
        load_personas(snakemake.input.personas, keep=params.personas),
        load_templates(snakemake.input.templates, [params.task], keep=params.templates),
        Wording(params.options, params.layout, params.article, params.system),
    )
    write_parquet(prompts, snakemake.output.prompts, PROMPTS, snakemake.params.get("read"))
    example = prompts["messages"].iloc[0]
    print(f"{len(prompts)} prompts of task {params.task}; the first:")
    print("\n".join(f"[{turn['role']}] {turn['content']}" for turn in example))
