"""Estimate persona effects: against the baseline, between personas, and tests with family-wise error control."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0], snakemake.params):
    from falserefusal.common.notice import write_table
    from falserefusal.estimation.effects import mean_effects, persona_differences, persona_effects
    from falserefusal.estimation.outcomes import read_cells, read_outcomes
    from falserefusal.estimation.pooling import shrunken_effects, shrunken_rates
    from falserefusal.statistics.gls import fit_personas
    from falserefusal.statistics.multiplicity import max_t, screen

    files, params, output = snakemake.input, snakemake.params, snakemake.output
    notice = params.get("notice")
    outcomes = read_outcomes(files.outcomes, params.labeller)
    fit = fit_personas(outcomes)
    tested = max_t(outcomes, permutations=params.permutations, seed=params.seed)
    effects = screen(persona_effects(outcomes, fit), tested)
    write_table(effects, output.effects_persona, notice)
    write_table(mean_effects(fit), output.effects_mean, notice)
    write_table(persona_differences(fit), output.effects_between, notice)
    write_table(shrunken_effects(fit, effects), output.effects_shrunken, notice)
    shrunken = shrunken_rates(read_cells(files.cells, params.labeller), outcomes=outcomes)
    write_table(shrunken, output.rates_shrunken, notice)
    print(f"{effects['raises'].sum()} of {len(effects)} persona effects raise a refusal rate (family-wise test)")
