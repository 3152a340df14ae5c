"""Estimate how much refusals vary between samples of the same prompt."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0], snakemake.params):
    from falserefusal.common.notice import write_table
    from falserefusal.estimation.outcomes import read_outcomes
    from falserefusal.estimation.within_prompts import within_prompts

    outcomes = read_outcomes(snakemake.input.outcomes, snakemake.params.labeller)
    write_table(within_prompts(outcomes), snakemake.output.within_prompts, snakemake.params.get("notice"))
