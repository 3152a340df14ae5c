"""Draw the study's Monte Carlo design, and count its draws by persona and template (Tables 5 and 6 of the paper)."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0], snakemake.params):
    import pandas as pd

    from falserefusal.common.files import read_parquet, write_parquet
    from falserefusal.common.notice import write_table
    from falserefusal.common.schemas import DESIGN, TEXTS
    from falserefusal.design.balance import draw_counts, uniformity
    from falserefusal.design.limit import limited
    from falserefusal.design.monte_carlo import make_design
    from falserefusal.study.materials import load_templates

    params, tasks = snakemake.params, list(snakemake.params.tasks)
    notice = params.get("notice")
    templates = load_templates(snakemake.input.templates, tasks, keep=params.templates)
    texts = {task: read_parquet(path, TEXTS) for task, path in zip(tasks, snakemake.input.texts, strict=True)}
    drawn = (params.design, params.models, params.seed, params.get("samples"))
    design = make_design(texts, params.personas, templates, *drawn)
    if most := params.get("limit"):
        design = limited(design, most)
    write_parquet(design, snakemake.output.design, DESIGN, params.get("read"))
    table5 = draw_counts(design, "persona", params.personas, tasks)
    table6 = draw_counts(design, "template", templates["template"].drop_duplicates().tolist(), tasks)
    write_table(table5, snakemake.output.table5, notice)
    write_table(table6, snakemake.output.table6, notice)
    balance = pd.concat([uniformity(table5, "persona"), uniformity(table6, "template")])
    write_table(balance, snakemake.output.balance, notice)
    print(f"{len(design)} prompts, {design['interim_look'].max() + 1} look(s)\n{balance.to_string(index=False)}")
