"""Take one interim look: the interval of every target, and the models that have not met their targets."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0], snakemake.params):
    from pathlib import Path

    from falserefusal.common.files import read_parquet, write_text
    from falserefusal.common.notice import read_table, write_table
    from falserefusal.common.outcomes import outcomes_of_models
    from falserefusal.common.schemas import DESIGN, VERDICTS
    from falserefusal.estimation.outcomes import outcomes_of
    from falserefusal.estimation.sequential import decide, interim_table

    files, params, this = snakemake.input, snakemake.params, int(snakemake.params.look)
    design = read_parquet(files.design, DESIGN)
    verdicts = {Path(path).stem: read_parquet(path, VERDICTS) for path in files.verdicts}
    own = {model: frame[frame["labeller"] == params.labeller] for model, frame in verdicts.items()}
    parts = outcomes_of(design, own.items(), params.personas, params.templates)
    outcomes = outcomes_of_models({part["model"].iloc[0]: part for part in parts})
    table = interim_table(outcomes, params.targets, this)
    decision = decide([*map(read_table, files.looks), table]).set_index("model")
    met = decision.index[decision["met"]]
    unmet = [model for model in verdicts if model not in met]  # also one without any verdict yet
    continuing = unmet if this < design["interim_look"].max() else []
    write_table(table, snakemake.output.look, params.get("notice"))
    write_text("".join(f"{model}\n" for model in continuing), snakemake.output.models)
    print(decision.reindex(list(verdicts)).to_string())
    print(f"look {this}: {len(continuing)} of {len(verdicts)} models continue")
