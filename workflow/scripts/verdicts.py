"""Label every response of one model with each of the study's labellers."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0], snakemake.params):
    from falserefusal.common.files import read_parquet, write_parquet
    from falserefusal.common.schemas import DESIGN, RESPONSES, TEXTS, VERDICTS
    from falserefusal.labelling.judge import JudgeLabeller
    from falserefusal.labelling.registry import labeller_class, load_labeller
    from falserefusal.labelling.responses import questions, with_questions
    from falserefusal.labelling.verdicts import label
    from falserefusal.study.materials import load_personas, load_templates

    files, params = snakemake.input, snakemake.params
    templates, personas = load_templates(files.templates, list(params.tasks)), load_personas(files.personas)
    texts = [read_parquet(path, TEXTS) for path in files.texts]
    asked = questions(read_parquet(files.design, DESIGN), templates, personas, params.options, texts)
    responses = with_questions(read_parquet(files.responses, RESPONSES), asked)
    labellers = [load_labeller(name, files[labeller_class(name).reads]) for name in params.labellers]
    # judges and classifiers label by the output of a model that ran before
    for (name, prompt), path in zip(params.get("judges", {}).items(), files.get("judges", []), strict=True):
        judge = JudgeLabeller.load(path, prompt)
        judge.name = name
        labellers.append(judge)
    for name, path in zip(params.get("classifiers", []), files.get("classifiers", []), strict=True):
        labellers.append(load_labeller("classifier", path, name))
    verdicts = label(responses, labellers)
    write_parquet(verdicts, snakemake.output.verdicts, VERDICTS, snakemake.params.get("read"))
    print(verdicts.groupby(["labeller", "category"], sort=False).size().to_string())
