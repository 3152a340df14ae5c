"""Draw every figure of a study from its tables."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0], snakemake.params):
    from pathlib import Path

    from falserefusal.common.notice import read_table
    from falserefusal.figures.context import Context
    from falserefusal.figures.draw import draw_figures
    from falserefusal.study.materials import are_variants, load_models, load_personas

    about = snakemake.params.about
    models = load_models(snakemake.input.models, keep=about["models"])
    personas = load_personas(snakemake.input.personas, keep=about["personas"])
    context = Context.of(about, models, personas, are_variants(models))
    draw_figures(
        snakemake.params.figures.figures(),
        {Path(path).stem: read_table(path) for path in snakemake.input.tables},
        context,
        Path(snakemake.output.index).parent,
    )
