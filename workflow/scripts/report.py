"""Write a study's report: tables, figures and provenance on one page."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0], snakemake.params):
    from pathlib import Path

    import yaml

    from falserefusal.common.files import read_json
    from falserefusal.common.notice import read_table
    from falserefusal.report.build import Study, build_report
    from falserefusal.report.explorer import explorer_section
    from falserefusal.study.materials import are_variants, load_models

    given, about = snakemake.input, snakemake.params.about
    models = load_models(given.models, keep=about["models"])
    build_report(
        snakemake.output.page,
        Study(
            name=about["study"],
            kind=about["kind"],
            title=about["title"],
            banner=about["banner"],
            model_suffix=about["model_suffix"],
            models=models["model"].tolist(),
            variants=are_variants(models),
            citation=yaml.safe_load(Path(given.citation).read_text(encoding="utf-8")),
            explorer=explorer_section(given.get("explorer")),
            absent=about["absent"],
        ),
        # statements.csv is not in the folder of tables, but is one
        tables={Path(path).stem: read_table(path) for path in given.tables},
        figures=read_table(given.figures),
        figure_dir=Path(given.figures).parent,
        provenance=read_json(given.provenance) if given.get("provenance") else None,
        samples={name: read_table(given[name]) for name in ("disagreements", "refusals") if given.get(name)},
    )
