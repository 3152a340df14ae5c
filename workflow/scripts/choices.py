"""Compare a study with itself under each of its choices, on the same prompts."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0], snakemake.params):
    from falserefusal.common.errors import InputError
    from falserefusal.common.files import read_parquet
    from falserefusal.common.notice import read_table, write_table
    from falserefusal.common.outcomes import frame_of
    from falserefusal.common.schemas import DESIGN, RESPONSES
    from falserefusal.estimation.choices import choices_table, own_results
    from falserefusal.estimation.outcomes import read_outcomes

    files, params = snakemake.input, snakemake.params
    headlines = params.headlines
    outcomes = {
        choice: frame_of(read_outcomes(path, headlines[choice]))
        for choice, path in zip(headlines, files.outcomes, strict=True)
    }
    own_design = read_parquet(files.designs[0], DESIGN)
    for choice, path in zip(headlines, files.designs, strict=True):
        if not read_parquet(path, DESIGN).equals(own_design):
            raise InputError(f"choices.{choice}: its materials change which prompts are asked; change wordings only")
    models = len(files.responses) // len(headlines)
    texts = [read_parquet(path, RESPONSES).set_index("prompt_id")["response"] for path in files.responses]
    changed = {}
    for number, choice in enumerate(headlines):
        pairs = zip(texts[:models], texts[number * models : (number + 1) * models], strict=True)
        different = [(other.reindex(own.index) != own).to_numpy() for own, other in pairs]
        changed[choice] = float(sum(part.sum() for part in different) / sum(map(len, different)))
    effects = read_table(files.effects_mean) if files.get("effects_mean") else None
    own = own_results(read_table(files.rates_model_task), read_table(files.importance), effects)
    table = choices_table(outcomes, own, changed)
    write_table(table, snakemake.output.table, params.get("notice"))
    print(f"{(table['p_holm'] <= 0.05).sum()} of {table['p'].notna().sum()} tested changes differ from 0 (Holm)")
