"""Compare the labellers of a study: agreement, categories, and samples of disagreements and of agreed refusals."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0], snakemake.params):
    import pandas as pd

    from falserefusal.common.notice import write_table
    from falserefusal.common.queries import rows_of_prompts
    from falserefusal.labelling.comparison import (
        agreed_refusals,
        agreement_of_labellers,
        categories_of_labellers,
        disagreements,
    )

    files, params, output = snakemake.input, snakemake.params, snakemake.output
    notice = params.get("notice")
    verdicts = dict(zip(params.models, files.verdicts, strict=True))
    agreement = agreement_of_labellers(verdicts)
    write_table(agreement, output.agreement, notice)
    write_table(categories_of_labellers(verdicts), output.categories, notice)
    disagreed = disagreements(verdicts, params.most, params.seed)
    refused = agreed_refusals(verdicts, params.refusals, params.seed)
    shown = {*disagreed["prompt_id"], *refused["prompt_id"]}
    prompts = pd.concat([rows_of_prompts(path, shown, ["messages", "system_text"]) for path in files.prompts])
    prompts = prompts.set_index("prompt_id")
    responses = pd.concat(
        rows_of_prompts(path, shown, ["response"]).assign(model=model)
        for model, path in zip(params.models, files.responses, strict=True)
    )
    design = rows_of_prompts(files.design, shown, ["task", "persona", "template"])
    for frame, path in ((disagreed, output.disagreements), (refused, output.refusals)):
        frame = frame.merge(design, on="prompt_id").merge(responses, on=["model", "prompt_id"])
        asked = prompts.loc[frame["prompt_id"]]
        frame["prompt"] = ["\n\n".join(turn["content"] for turn in turns) for turns in asked["messages"]]
        frame["system_text"] = asked["system_text"].to_numpy()
        write_table(frame, path, notice)
    print(agreement.to_string(index=False))
