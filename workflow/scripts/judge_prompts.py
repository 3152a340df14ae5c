"""Write the prompts of a judge about the responses of one model."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0], snakemake.params):
    import pandas as pd

    from falserefusal.common.files import read_parquet, write_parquet
    from falserefusal.common.schemas import DESIGN, PROMPTS, RESPONSES
    from falserefusal.labelling.judge import judge_prompts
    from falserefusal.labelling.judge_prompt import load_judge_prompt
    from falserefusal.labelling.responses import questions, with_questions
    from falserefusal.study.materials import load_personas, load_templates

    files, params = snakemake.input, snakemake.params
    templates, personas = load_templates(files.templates, list(params.tasks)), load_personas(files.personas)
    asked = questions(read_parquet(files.design, DESIGN), templates, personas, params.options)
    prompts = pd.concat([read_parquet(path, PROMPTS) for path in files.prompts], ignore_index=True)
    responses = with_questions(read_parquet(files.responses, RESPONSES), asked)
    asks = judge_prompts(responses, prompts, load_judge_prompt(files.instructions[0]))
    write_parquet(asks, snakemake.output.prompts, PROMPTS, snakemake.params.get("read"))
    print(f"{len(asks)} of {len(responses)} responses go to the judge; the others are empty")
