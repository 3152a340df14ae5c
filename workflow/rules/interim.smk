# Interim looks of a sequential design. After each look, only the models that have not met their targets continue. The jobs
# of a look cover all prompts so far; the store makes them pay only for the new ones.


ruleorder: last_responses > responses
ruleorder: last_verdicts > verdicts


use rule responses as interim_responses with:
    output:
        responses=FILES.responses("{model}", "{look}"),
        provenance=FILES.response_record("{model}", "{look}"),
    log:
        FILES.log("interim/{look}/responses/{model}"),
    benchmark:
        FILES.benchmark("interim/{look}/responses/{model}")
    params:
        look="{look}",
    message:
        "Ask {wildcards.model}, look {wildcards.look}"


use rule judge_prompts as interim_judge_prompts with:
    output:
        prompts=FILES.judge_prompts("{judge}", "{model}", "{look}"),
    log:
        FILES.log("interim/{look}/judges/{judge}/{model}_prompts"),
    benchmark:
        FILES.benchmark("interim/{look}/judges/{judge}/{model}_prompts")
    message:
        "Write the prompts of the judge {wildcards.judge}: {wildcards.model}, look {wildcards.look}"


use rule judge_responses as interim_judge_responses with:
    output:
        responses=FILES.judge_responses("{judge}", "{model}", "{look}"),
        provenance=FILES.judge_record("{judge}", "{model}", "{look}"),
    log:
        FILES.log("interim/{look}/judges/{judge}/{model}"),
    benchmark:
        FILES.benchmark("interim/{look}/judges/{judge}/{model}")
    message:
        "Judge the responses of {wildcards.model}: {wildcards.judge}, look {wildcards.look}"


use rule classify as interim_classify with:
    output:
        scores=FILES.scores("{classifier}", "{model}", "{look}"),
    log:
        FILES.log("interim/{look}/classifiers/{classifier}/{model}"),
    benchmark:
        FILES.benchmark("interim/{look}/classifiers/{classifier}/{model}")
    message:
        "Classify the responses of {wildcards.model}: {wildcards.classifier}, look {wildcards.look}"


use rule verdicts as interim_verdicts with:
    output:
        verdicts=FILES.verdicts("{model}", "{look}"),
    log:
        FILES.log("interim/{look}/verdicts/{model}"),
    benchmark:
        FILES.benchmark("interim/{look}/verdicts/{model}")
    message:
        "Label the responses: {wildcards.model}, look {wildcards.look}"


checkpoint interim_look:
    input:
        verdicts=lambda wildcards: STUDY.look_verdicts(int(wildcards.look), models_after),
        looks=of("earlier_looks", "look"),
        design=FILES.design,
        code=library("interim_look.py"),
    output:
        look=FILES.look("{look}"),
        models=FILES.next_models("{look}"),
    log:
        FILES.log("interim/{look}/interim_look"),
    benchmark:
        FILES.benchmark("interim/{look}/interim_look")
    conda:
        "../../envs/analysis.yaml"
    params:
        look="{look}",
        targets=of("config.estimation.targets"),
        labeller=of("headline"),
        personas=of("personas"),
        templates=of("templates"),
        notice=of("notice"),
    message:
        "Decide which models continue: {wildcards.study}, look {wildcards.look}"
    script:
        "../scripts/interim_look.py"


rule last_responses:
    input:
        responses=from_last_look(files.Files.responses),
        provenance=from_last_look(files.Files.response_record),
    output:
        responses=FILES.responses("{model}"),
        provenance=FILES.response_record("{model}"),
    log:
        FILES.log("interim/last_responses/{model}"),
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    message:
        "Copy the responses of the last look: {wildcards.model}"
    shell:
        "cp {input.responses} {output.responses} 2> {log} && cp {input.provenance} {output.provenance} 2>> {log}"


rule last_verdicts:
    input:
        verdicts=from_last_look(files.Files.verdicts),
    output:
        verdicts=FILES.verdicts("{model}"),
    log:
        FILES.log("interim/last_verdicts/{model}"),
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    message:
        "Copy the verdicts of the last look: {wildcards.model}"
    shell:
        "cp {input.verdicts} {output.verdicts} 2> {log}"


rule interim_looks:
    input:
        looks=lambda wildcards: STUDY.all_looks(models_after),
        design=FILES.design,
        code=library("interim_looks.py"),
    output:
        **tables(*files.SEQUENTIAL),
    log:
        FILES.log("interim_looks"),
    benchmark:
        FILES.benchmark("interim_looks")
    conda:
        "../../envs/analysis.yaml"
    params:
        notice=of("notice"),
    message:
        "Summarise the interim looks: {wildcards.study}"
    script:
        "../scripts/interim_looks.py"
