"""Draw every figure of a study from its tables."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    from pathlib import Path

    from falserefusal.common.notice import read_table
    from falserefusal.figures.context import Context
    from falserefusal.figures.draw import draw_figures
    from falserefusal.figures.registry import FigureSet
    from falserefusal.study.materials import are_variants, load_models, load_personas

    params = snakemake.params
    models = load_models(snakemake.input.models, keep=params.models)
    personas = load_personas(snakemake.input.personas, keep=params.personas)
    context = Context(
        study=params.study,
        models=dict(zip(models["model"], models["family"], strict=True)),
        personas=dict(zip(personas["persona"], personas["group"], strict=True)),
        banner=params.banner,
        model_suffix=params.model_suffix,
        variants=are_variants(models),
    )
    draw_figures(
        FigureSet(
            params.kind,
            tuple(params.tasks),
            params.sequential,
            len(params.labellers) > 1,
            params.annotated,
            params.compared,
        ).figures(),
        {Path(path).stem: read_table(path) for path in snakemake.input.tables},
        context,
        Path(snakemake.output.index).parent,
    )
