"""Pack a study into one zip that can be cited and passed on, without texts, prompts and responses."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0], snakemake.params):
    import tempfile
    from pathlib import Path

    import yaml

    from falserefusal.common.files import read_json
    from falserefusal.common.notice import read_table
    from falserefusal.figures.context import Context
    from falserefusal.report.archive import made_files, write_archive
    from falserefusal.report.build import Study, build_report
    from falserefusal.study.materials import are_variants, load_models, load_personas

    given, about, figures = snakemake.input, snakemake.params.about, snakemake.params.figures
    models = load_models(given.models, keep=about["models"])
    personas = load_personas(given.personas, keep=about["personas"])
    shared = {name: about[name] for name in ("banner", "model_suffix")} | {"variants": are_variants(models)}
    context = Context.of(about, models, personas, are_variants(models))
    verdicts = dict(zip(snakemake.params.verdicts_of, given.verdicts, strict=True))
    files = made_files(context, figures, verdicts, given.design)
    for folder, paths in {"tables": given.tables, "figures": [*given.drawings, given.figures]}.items():
        files |= {f"{folder}/{Path(path).name}": Path(path) for path in paths}
    files["provenance.json"] = Path(given.provenance)
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "index.html")
        build_report(
            page,
            Study(
                about["study"],
                about["kind"],
                about["title"],
                models=models["model"].tolist(),
                citation=yaml.safe_load(Path(given.citation).read_text(encoding="utf-8")),
                absent=about.get("absent", []),
                **shared,
            ),
            tables={Path(path).stem: read_table(path) for path in given.tables},
            figures=read_table(given.figures),
            figure_dir=Path(given.figures).parent,
            provenance=read_json(given.provenance),
        )
        files["report/index.html"] = page
        write_archive(snakemake.output.archive, files)
    print(f"{len(files)} files")
