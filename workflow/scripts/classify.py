"""Score every response of one model with a sequence classifier."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0], snakemake.params):
    import os
    from pathlib import Path

    os.environ["HF_HUB_OFFLINE"] = "1"  # the weights are in the cache, and a compute node may have no network
    if snakemake.input.get("folder"):  # weights that are deleted after use, in the layout of that cache
        os.environ["HF_HUB_CACHE"] = str(Path(snakemake.input.folder).absolute())

    import pandas as pd

    from falserefusal.common.files import read_json, read_parquet, write_parquet
    from falserefusal.common.schemas import PROMPTS, RESPONSES
    from falserefusal.inference.devices import claim_gpus
    from falserefusal.labelling.classifier import Classifier, classify

    files, settings = snakemake.input, dict(snakemake.params.classifier)
    settings["revision"] = read_json(files.weights)["revision"]
    claim_gpus(snakemake.resources.get("gpu", 0))
    classifier = Classifier(**settings)
    responses = read_parquet(files.responses, RESPONSES)
    questions = None
    if classifier.reads_question:
        prompts = pd.concat([read_parquet(path, PROMPTS) for path in files.prompts], ignore_index=True)
        texts = prompts.set_index("prompt_id")["messages"].map(lambda turns: "\n\n".join(t["content"] for t in turns))
        questions = texts[responses["prompt_id"]].tolist()
    scores = classify(responses, questions, classifier)
    write_parquet(scores, snakemake.output.scores)
    print(scores["label"].value_counts().to_string())
