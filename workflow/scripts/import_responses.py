"""Turn files of responses into the texts, design, prompts and responses of a study."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0], snakemake.params):
    import pandas as pd

    from falserefusal.common.files import read_csv, write_csv, write_json, write_parquet
    from falserefusal.common.notice import write_table
    from falserefusal.common.schemas import DESIGN, PROMPTS, RESPONSES, TEXTS
    from falserefusal.design.balance import draw_counts, uniformity
    from falserefusal.exchange.levels import named
    from falserefusal.exchange.stages import record_of, stages_of
    from falserefusal.exchange.tidy import read_responses
    from falserefusal.texts.problems import problem_frame

    files, out, params = snakemake.input, snakemake.output, snakemake.params
    given, read = params.given, params.get("read")
    frame = named(read_responses(given), params.names)
    templates = read_csv(files.templates)
    made = stages_of(frame, dict(zip(templates["template"], templates["format"], strict=True)))
    write_parquet(made.design, out.design, DESIGN, read)
    for number, task in enumerate(params.tasks):
        write_parquet(made.texts[task], out.texts[number], TEXTS, read)
        write_parquet(made.prompts[task], out.prompts[number], PROMPTS, read)
        write_csv(problem_frame([], task), out.problems[number])
    for number, model in enumerate(params.models):
        write_parquet(made.responses[model], out.responses[number], RESPONSES, read)
        write_json(record_of(model, given, params.words[model], read or {}), out.records[number])
        if made.verdicts:
            write_parquet(made.verdicts[model], out.verdicts[number], read=read)
    levels = {"persona": list(params.personas), "template": templates["template"].drop_duplicates().tolist()}
    counts = {factor: draw_counts(made.design, factor, names, list(params.tasks)) for factor, names in levels.items()}
    balance = pd.concat([uniformity(table, factor) for factor, table in counts.items()])
    write_table(balance, out.balance, None)
    print(f"{len(frame)} responses of {len(params.models)} models; fields: {', '.join(frame)}")
