"""Collect the responses that a reader of the report can search: all, or a random sample of them."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0], snakemake.params):
    from falserefusal.common.files import write_json
    from falserefusal.report.explorer import Files, explorer_data

    given, params = snakemake.input, snakemake.params
    files = Files(
        responses=dict(zip(params.models, given.responses, strict=True)),
        verdicts=dict(zip(params.models, given.verdicts, strict=True)),
        prompts=dict(zip(params.layouts, given.prompts, strict=True)),
        texts=dict(zip(params.layouts, given.texts, strict=True)),
        design=given.design,
    )
    data = explorer_data(files, params.labellers, params.layouts, params.shared, params.seed, own=params.own)
    write_json(data, snakemake.output.explorer)
    print(f"{data['shown']} of {data['total']} responses, {data['bytes']} bytes compressed")
