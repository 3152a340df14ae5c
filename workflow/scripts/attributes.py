"""Estimate rates, main effects and interactions of the attributes that personas cross."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0], snakemake.params):
    from falserefusal.common.notice import write_table
    from falserefusal.estimation.attributes import effects_attribute, rates_attribute
    from falserefusal.estimation.outcomes import read_outcomes
    from falserefusal.statistics.gls import fit_personas
    from falserefusal.study.attributes import load_attributes

    files, params, output = snakemake.input, snakemake.params, snakemake.output
    outcomes = read_outcomes(files.outcomes, params.labeller)
    attributes = load_attributes(files.personas, keep=params.personas)
    write_table(rates_attribute(outcomes, attributes), output.rates_attribute, params.get("notice"))
    effects = effects_attribute(fit_personas(outcomes), attributes)
    write_table(effects, output.effects_attribute, params.get("notice"))
    print(f"{len(effects)} main effects and interactions of {len(attributes.columns) - 1} attributes")
