"""Compare the responses to prompts that were asked again in other batches with the first ones."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0], snakemake.params):
    import pandas as pd

    from falserefusal.common.files import read_json, read_parquet
    from falserefusal.common.notice import write_table
    from falserefusal.common.schemas import DESIGN, RESPONSES, TEXTS
    from falserefusal.estimation.batch_check import COLUMNS, compare_batches, not_checked, not_labelled
    from falserefusal.labelling.registry import labeller_class, load_labeller
    from falserefusal.labelling.responses import questions, with_questions
    from falserefusal.labelling.verdicts import label
    from falserefusal.study.materials import load_personas, load_templates

    files, params = snakemake.input, snakemake.params
    templates, personas = load_templates(files.templates, list(params.tasks)), load_personas(files.personas)
    design = read_parquet(files.design, DESIGN)
    texts = [read_parquet(path, TEXTS) for path in files.texts]
    name = params.labeller
    labeller = load_labeller(name, files[labeller_class(name).reads]) if name else None
    rows = []
    for model, path, record in zip(params.models, files.responses, files.records, strict=True):
        responses = read_parquet(path, RESPONSES)
        responses = responses[responses["other_batch_response"].notna()]
        if responses.empty:
            rows.append(not_checked(model, read_json(record)))
            continue
        if labeller is None:
            rows.append(not_labelled(model))
            continue
        checked = design[design["prompt_id"].isin(responses["prompt_id"])]
        asked = questions(checked, templates, personas, params.options, texts)
        others = responses.assign(
            response=responses["other_batch_response"], finish_reason=responses["other_batch_finish_reason"]
        )
        verdicts = [label(with_questions(frame, asked), [labeller]) for frame in (responses, others)]
        rows.append(compare_batches(model, responses, *verdicts))
    table = pd.DataFrame(rows, columns=COLUMNS)
    write_table(table, snakemake.output.batch_check, params.get("notice"))
    print(table.to_string(index=False))
