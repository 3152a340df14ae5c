"""Check that every model and data source of the study is within reach; fail with everything that is missing."""

from typing import TYPE_CHECKING

from falserefusal.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    from falserefusal.planning.preflight import preflight, preflight_text, require
    from falserefusal.stimuli import load_models
    from falserefusal.tables import read_csv, write_csv
    from falserefusal.texts import raw_path, resolve

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
    needs = read_csv(snakemake.input.plan).set_index("model")
    found = preflight(
        load_models(snakemake.input.models, keep=params.models),
        memory_gb=needs["memory_gb"].to_dict(),
        disk_gb=needs["disk_gb"].to_dict(),
        sources=sources,
        gpus=params.gpus,
        gpu_limit=params.gpu_limit,
        compute_here=params.compute_here,
    )
    print(preflight_text(found), end="")
    require(found)
    write_csv(found, snakemake.output.preflight)
