"""Check that everything a study needs is available (weights, texts, servers, memory, disk); fail otherwise."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to, tell

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0], snakemake.params):
    import logging
    from pathlib import Path

    import pandas as pd

    from falserefusal.common.files import read_csv, read_json, write_csv
    from falserefusal.planning.preflight import COLUMNS, missing_text, preflight, preflight_text, require
    from falserefusal.planning.slurm import Settings, check_cluster
    from falserefusal.study.materials import load_models
    from falserefusal.texts.fetch import raw_path
    from falserefusal.texts.sources import resolve

    params = snakemake.params
    sources = []
    for task, settings in params.tasks.items():
        source, path = resolve(settings["source"], task), raw_path(settings["source"], task, params.raw)
        if path.is_file() or source.path is not None:
            sources.append({"subject": task, "kind": "file", "ref": str(path)})
        elif source.url is not None:
            sources.append({"subject": task, "kind": "url", "ref": source.url})
        else:
            sources.append({"subject": task, "kind": "dataset", "ref": source.hub[0], "revision": source.hub[1]})

    def recorded(row, kind, name):
        """`row` with the commit that was downloaded, if it was; the hub may have a newer one."""
        record = Path(params.records, kind, f"{name}.json")
        known = read_json(record) if record.is_file() else {"asked": {}, "revision": ""}
        same = all((known["asked"].get(key) or None) == row[key] for key in ("hub_id", "revision"))
        return row | {"revision": known["revision"]} if same and not known["revision"].startswith("sha256:") else row

    models = load_models(snakemake.input.models, keep=params.fetched)
    models = models.reindex(columns=["model", "hub_id", "revision", "package"])
    if params.fetched:
        plan = read_csv(snakemake.input.plan).groupby("hub_id")[["memory_gb", "disk_gb"]].max()
        models = models.join(plan, on="hub_id").assign(gpus=models["model"].map(params.gpus))
    models = models.astype(object).where(models.notna(), None)
    needed = [recorded(row, "weights", row["model"]) for row in models.to_dict("records")]
    for name, own in params.classifiers.items():
        row = {"model": f"classifier {name}", "hub_id": own["hub_id"], "revision": own["revision"]}
        needed.append(recorded(row, "classifiers", name) | {"labels": list(own["categories"])})
    for row in needed:
        row["folder_in_use"] = params.folder_in_use if row["hub_id"] in params.hub_ids else None
    known = ["model", "hub_id", "revision", "package", "memory_gb", "disk_gb", "gpus", "folder_in_use", "labels"]
    found = preflight(
        pd.DataFrame(needed, columns=known),
        sources,
        gpu_limit=params.gpu_limit,
        servers=params.servers,
        quantization=params.quantization,
        compute_here=params.compute_here and not params.slurm,
    )
    if params.slurm or params.slurm_too:
        settings = Settings(**params.slurm) if params.slurm else None
        rows = check_cluster(params.jobs, settings, used=bool(params.slurm) or not params.compute_here)
        found = pd.concat([found, pd.DataFrame(rows, columns=COLUMNS)], ignore_index=True)
    write_csv(found, params.table)
    if snakemake.output:  # before inference: only what may matter
        print(preflight_text(found))
        for row in found[found["status"] == "warn"].itertuples():
            logging.getLogger("falserefusal.planning").warning("%s: %s", row.subject, row.message)
    else:
        tell(preflight_text(found).rstrip())
    if params.demand:
        require(found)
    elif missing := missing_text(found):
        tell(f"{missing}\nModels with nothing missing run anyway (--keep-going).")
