"""Estimate refusal rates with confidence intervals: Table 1 and the tables behind the paper's heat maps."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0], snakemake.params):
    from falserefusal.common.files import read_csv
    from falserefusal.common.notice import write_table
    from falserefusal.estimation import rates
    from falserefusal.estimation.outcomes import read_cells, read_outcomes, reported
    from falserefusal.estimation.separations import separations
    from falserefusal.study.attributes import load_attributes
    from falserefusal.study.comparison import Comparison
    from falserefusal.study.materials import load_models, load_personas

    notice = snakemake.params.get("notice")
    cells = read_cells(snakemake.input.cells, snakemake.params.labeller)
    outcomes = read_outcomes(snakemake.input.get("outcomes"), snakemake.params.labeller)
    models = load_models(snakemake.input.models, keep=reported(snakemake.params.models, cells))
    personas = load_personas(snakemake.input.personas, keep=snakemake.params.personas)
    attributes = None
    if snakemake.params.get("attributes"):
        attributes = load_attributes(snakemake.input.personas, keep=snakemake.params.personas)
    printed_baseline = snakemake.input.get("baseline")
    if printed_baseline:  # the paper prints these rates without counts, so no cell has them
        printed_baseline = read_csv(printed_baseline).assign(task="offensiveness")
        printed_baseline["baseline_rate"] = printed_baseline.pop("baseline_refusal_pct_read_from_vector") / 100
    printed = None
    if snakemake.input.get("table1"):
        comparison = Comparison(**snakemake.params.comparison)
        printed = rates.printed_table1(read_csv(snakemake.input.table1), read_csv(snakemake.input.quoted), comparison)
    model_task = rates.rates_model_task(cells, outcomes, printed=printed)
    scopes = rates.model_scopes(models)
    tables = {
        "table1": rates.table1(model_task),
        "rates_model_task": model_task,
        "rates_persona": rates.rates_persona(cells, scopes, personas.set_index("persona")["group"].to_dict(), outcomes),
        "rates_model_persona": rates.rates_model_persona(cells, outcomes),
        "rates_task_model_persona": rates.rates_task_model_persona(cells, outcomes),
        "rates_format": rates.rates_format(cells, outcomes),
        "rates_baseline": rates.rates_baseline(cells, outcomes, printed=printed_baseline),
        "separations": separations(cells, outcomes, scopes, attributes),
    }
    for name, table in tables.items():
        write_table(table, snakemake.output[name], notice)
