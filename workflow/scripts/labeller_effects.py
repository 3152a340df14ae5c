"""Estimate the headline quantities and test the claims with each labeller."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0], snakemake.params):
    import pandas as pd

    from falserefusal.common.notice import write_table
    from falserefusal.common.schemas import BASELINE
    from falserefusal.estimation.claims import claims_table
    from falserefusal.estimation.comparison import headline
    from falserefusal.estimation.effects import mean_effects
    from falserefusal.estimation.importance import importance_table, sensitivity_from_outcomes
    from falserefusal.estimation.outcomes import labellers_with_verdicts, read_cells, read_outcomes, reported
    from falserefusal.estimation.rates import rates_model_task, rates_persona
    from falserefusal.statistics.gls import fit_personas
    from falserefusal.study.materials import load_models, load_personas

    files, params = snakemake.input, snakemake.params
    notice = params.get("notice")
    groups = load_personas(files.personas, keep=params.personas).set_index("persona")["group"].to_dict()
    headlines, claims_of_all = [], []
    for labeller in labellers_with_verdicts(files.cells, params.labellers):
        cells, outcomes = read_cells(files.cells, labeller), read_outcomes(files.outcomes, labeller)
        models = load_models(files.models, keep=reported(params.models, cells))
        rates = rates_model_task(cells, outcomes)
        personas = rates_persona(cells, {"all models": models["model"].tolist()}, groups, outcomes)
        sensitivity = sensitivity_from_outcomes(outcomes, replicates=200, permutations=99, seed=params.seed)
        effects = mean_effects(fit_personas(outcomes)) if BASELINE in outcomes.present("persona") else None
        headlines.append(headline(rates, personas, importance_table(sensitivity), effects).assign(labeller=labeller))
        claims = claims_table(models, outcomes=outcomes, seed=params.seed)
        claims_of_all.append(
            claims[["claim", "statement", "effect", "effect_unit", "lo", "hi", "conclusion"]].assign(labeller=labeller)
        )
    for name, parts in {"labeller_headline": headlines, "labeller_claims": claims_of_all}.items():
        table = pd.concat(parts, ignore_index=True)
        write_table(table[["labeller", *table.columns.drop("labeller")]], snakemake.output[name], notice)
