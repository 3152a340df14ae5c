"""Estimate the cost of the study before any download; prompts are counted where the texts are on this machine."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to, tell

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0], snakemake.params):
    from falserefusal.common.files import write_csv, write_json, write_text
    from falserefusal.design.monte_carlo import design_size, draw
    from falserefusal.labelling.judge_prompt import load_judge_prompt
    from falserefusal.planning import plan
    from falserefusal.planning.served import with_server_costs
    from falserefusal.prompts.rendering import Wording, prompt_parts, question_characters
    from falserefusal.study.materials import load_models, load_personas, load_templates
    from falserefusal.study.resources import read_gpus
    from falserefusal.texts.fetch import raw_path
    from falserefusal.texts.read import read
    from falserefusal.texts.sample import sample
    from falserefusal.texts.sources import resolve

    params, tasks = snakemake.params, dict(snakemake.params.tasks)
    models = load_models(snakemake.input.models, keep=params.models)
    personas = load_personas(snakemake.input.personas, keep=params.personas)
    templates = load_templates(snakemake.input.templates, list(tasks), keep=params.templates)
    wording = {task: Wording(t["options"], t["layout"], **params.prompts) for task, t in tasks.items()}

    texts, rows, characters = {}, {}, {}
    for task, settings in tasks.items():
        source, most = settings["source"], settings["rows_per_gold_label"]
        path = raw_path(source, task, params.raw)
        if path.is_file():
            texts[task] = sample(read(source, path, task)[0], most, params.seed)
            rows[task] = len(texts[task])
            parts = [texts[task][part].dropna().str.len().sum() for part in ("text", "premise", "hypothesis")]
            characters[task] = sum(parts) / rows[task]
        else:
            rows[task] = plan.expected_rows(resolve(source, task).name, task, most)

    if len(texts) == len(tasks):
        names, samples = personas["persona"].tolist(), params.get("samples")
        draws = draw(texts, names, templates, params.design, params.models, params.seed)
        prompts = {task: prompt_parts(texts[task], personas, templates, wording[task]) for task in tasks}
        workload = plan.counted_workload(draws, prompts, samples)
    else:
        own = {task: templates[templates["task"] == task] for task in tasks}
        numbers = {task: len(own[task]) for task in tasks}
        sizes = design_size(params.design, rows, len(personas), numbers, params.get("samples"))
        around = {task: question_characters(personas, own[task], wording[task]) for task in tasks}
        workload = plan.expected_workload(sizes, around, characters)
    gpus = read_gpus(snakemake.input.gpus)
    costs, judges = params.get("servers", {}), None
    if params.get("judges"):
        asked = {(judge["model"], judge["prompt"]): name for name, judge in reversed(params.judges.items())}
        prompts = [load_judge_prompt(prompt) for _, prompt in asked]
        known = load_models(snakemake.input.models, keep=sorted({model for model, _ in asked}))
        rows = with_server_costs(known.set_index("model", drop=False).loc[[model for model, _ in asked]], costs)
        sizes = [prompt.characters for prompt in prompts], [prompt.max_new_tokens for prompt in prompts]
        judges = plan.Judges(list(asked.values()), rows, *sizes)
    if params.shape:  # stand-ins have another network than their models, and no server
        models = models.assign(**params.shape, server=None)
    models = with_server_costs(models, costs)
    result = plan.plan(models, workload, gpus, params.gpu, params.assumptions, params.get("shards"), judges)
    text = plan.plan_text(result, params.study, params.from_hub, params.keep_weights)
    text += plan.backend_text(result)
    text += plan.early_text(result, params.in_full_because, params.recheck_share)
    if params.get("classifiers"):
        text += f"Not included: the classifiers {', '.join(params.classifiers)}, whose sizes are not known yet.\n"
    write_csv(result["models"], snakemake.output.models)
    write_csv(result["gpus"], snakemake.output.gpus)
    write_json(plan.plan_json(result), snakemake.output.json)
    write_text(text, snakemake.output.text)
    if params.whole or len(result["servers"]):  # a server may ask for money
        tell(text.rstrip())
    else:
        tell(plan.short_text(text, snakemake.output.text))
