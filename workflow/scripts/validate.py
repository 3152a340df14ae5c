"""Compare the labellers with the annotations: agreement, accuracy, and rates corrected for labelling errors."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0], snakemake.params):
    import pandas as pd

    from falserefusal.annotation import correction
    from falserefusal.annotation.accuracy import estimate_accuracy
    from falserefusal.annotation.corrected import corrected_tables
    from falserefusal.annotation.people import agreement, read_annotations, settle
    from falserefusal.annotation.sample import population
    from falserefusal.annotation.validation import labeller_validation
    from falserefusal.common.files import read_csv, read_parquet
    from falserefusal.common.notice import write_table
    from falserefusal.common.schemas import DESIGN, VERDICTS
    from falserefusal.estimation.outcomes import read_outcomes
    from falserefusal.study.materials import load_models, load_personas

    files, params, output = snakemake.input, snakemake.params, snakemake.output
    notice = params.get("notice")
    key = read_csv(files.key)
    annotations = read_annotations(files.annotations, key)
    settled = settle(annotations)
    given = {m: read_parquet(path, VERDICTS) for m, path in zip(params.models, files.verdicts, strict=True)}
    units = population(given, read_parquet(files.design, DESIGN), load_personas(files.personas))
    verdicts = correction.machine_verdicts(units, given)
    counts, effects = correction.machine_counts(verdicts), correction.design_effects(verdicts)
    items = correction.annotated(key, settled, verdicts)
    rates = correction.corrected_rates(counts, items, effects=effects)
    means = correction.mean_over_models(counts, items, effects)
    write_table(agreement(annotations, params.seed), output.agreement, notice)
    accuracies = correction.labeller_accuracy(counts, items, effects=effects)
    write_table(accuracies, output.accuracy, notice)
    write_table(labeller_validation(accuracies, units, given), output.validation, notice)
    write_table(pd.concat([rates, means], ignore_index=True), output.rates, notice)
    write_table(correction.corrected_personas(verdicts, key, settled), output.personas, notice)
    write_table(correction.corrected_differences(rates), output.differences, notice)
    write_table(correction.specificity_tests(counts, items), output.specificity, notice)
    headline = (frame[frame["labeller"] == params.labeller] for frame in (counts, items))
    accuracy = estimate_accuracy(*headline, params.seed)
    outcomes, models = read_outcomes(files.outcomes, params.labeller), load_models(files.models, keep=params.models)
    for name, table in corrected_tables(outcomes, models, accuracy, params.seed).items():
        write_table(table, output[f"corrected_{name}"], notice)
    undecided = int(settled["refusal"].isna().sum())
    print(f"{len(settled)} of {len(key)} sampled responses annotated, {undecided} of them undecided")
