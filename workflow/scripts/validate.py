"""What people's verdicts say of the labellers: agreement, accuracy, and rates corrected for label error."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    import pandas as pd

    from falserefusal.annotation import correction as validation
    from falserefusal.annotation.people import agreement, read_annotations, settle
    from falserefusal.annotation.sample import population
    from falserefusal.common.files import read_csv, read_parquet
    from falserefusal.common.notice import write_table
    from falserefusal.common.schemas import DESIGN, VERDICTS
    from falserefusal.study.materials import load_personas

    files, params, output = snakemake.input, snakemake.params, snakemake.output
    notice = params.get("notice")
    key = read_csv(files.key)
    annotations = read_annotations(files.annotations, key)
    settled = settle(annotations)
    verdicts = {m: read_parquet(path, VERDICTS) for m, path in zip(params.models, files.verdicts, strict=True)}
    units = population(verdicts, read_parquet(files.design, DESIGN), load_personas(files.personas))
    verdicts = validation.machine_verdicts(units, verdicts)
    counts, effects = validation.machine_counts(verdicts), validation.design_effects(verdicts)
    items = validation.annotated(key, settled, verdicts)
    rates = validation.corrected_rates(counts, items, effects=effects)
    write_table(agreement(annotations, params.seed), output.agreement, notice)
    write_table(validation.label_accuracy(counts, items, effects=effects), output.accuracy, notice)
    write_table(pd.concat([rates, validation.mean_over_models(rates)], ignore_index=True), output.rates, notice)
    write_table(validation.corrected_personas(verdicts, key, settled), output.personas, notice)
    write_table(validation.corrected_differences(rates), output.differences, notice)
    write_table(validation.specificity_tests(counts, items), output.specificity, notice)
    still_open = int(settled["refusal"].isna().sum())
    print(f"{len(settled)} of {len(key)} sampled answers labelled, {still_open} of them left open by the annotators")
