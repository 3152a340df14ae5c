"""Judge every answer of one model by each of the study's labellers."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    import pandas as pd

    from falserefusal.common.files import read_parquet, write_parquet
    from falserefusal.common.schemas import DESIGN, RESPONSES, VERDICTS
    from falserefusal.labelling.classifier import classifier_labeller
    from falserefusal.labelling.judge import judge_labeller
    from falserefusal.labelling.patterns import load_patterns
    from falserefusal.labelling.phrase_list import phrase_labeller
    from falserefusal.labelling.responses import answers, questions
    from falserefusal.labelling.structured import structured_labeller
    from falserefusal.labelling.verdicts import label
    from falserefusal.study.materials import load_personas, load_phrases, load_templates

    files, params = snakemake.input, snakemake.params
    templates, personas = load_templates(files.templates, list(params.tasks)), load_personas(files.personas)
    asked = questions(read_parquet(files.design, DESIGN), templates, personas, params.verdicts)
    available = {
        "paper": lambda: phrase_labeller(load_phrases(files.phrases)),
        "structured": lambda: structured_labeller(load_patterns(files.patterns)),
    }
    labellers = {name: available[name]() for name in params.labellers if name in available}
    for name, path in zip(params.get("judges", []), files.get("judged", []), strict=True):
        labellers[name] = judge_labeller(read_parquet(path, RESPONSES))
    for name, path in zip(params.get("classifiers", []), files.get("classified", []), strict=True):
        labellers[name] = classifier_labeller(pd.read_parquet(path))
    verdicts = label(answers(read_parquet(files.responses, RESPONSES), asked), labellers)
    write_parquet(verdicts, snakemake.output.verdicts, VERDICTS)
    print(verdicts.groupby(["labeller", "category"], sort=False).size().to_string())
