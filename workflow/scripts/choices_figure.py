"""Draw how far each choice moves the headline results."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0], snakemake.params):
    from pathlib import Path

    from falserefusal.common.notice import read_table, write_table
    from falserefusal.figures.choices import specification_curve
    from falserefusal.figures.context import Context
    from falserefusal.figures.draw import save
    from falserefusal.figures.style import styled
    from falserefusal.study.materials import are_variants, load_models

    about, output = snakemake.params.about, snakemake.output
    models = load_models(snakemake.input.models, keep=about["models"])
    families = dict(zip(models["model"], models["family"], strict=True))
    context = Context(about["study"], families, {}, about["banner"], about["model_suffix"], are_variants(models))
    with styled():
        canvas, drawn = specification_curve(read_table(snakemake.input.table), context)
        save(canvas, Path(output.png).with_suffix(""))
    write_table(drawn, output.csv, context.banner)
