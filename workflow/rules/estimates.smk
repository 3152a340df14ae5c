# Estimates: from cells, and outcomes where a study has them, to tables.


rule rates:
    input:
        unpack(of("estimation_inputs")),
        unpack(of("materials")),
        unpack(of("printed_rates")),
        code=library("rates.py"),
    output:
        **tables("table1", *files.RATES),
    log:
        FILES.log("rates"),
    benchmark:
        FILES.benchmark("rates")
    conda:
        "../../envs/analysis.yaml"
    params:
        labeller=of("headline"),
        models=of("reported_models"),
        personas=of("personas"),
        attributes=of("attributes"),
        comparison=of("comparison.plain"),
        notice=of("notice"),
    message:
        "Estimate refusal rates: {wildcards.study}"
    script:
        "../scripts/rates.py"


rule importance:
    input:
        unpack(of("estimation_inputs")),
        figure5=of("printed_importance"),
        code=library("importance.py"),
    output:
        **tables("importance", "sensitivity"),
    log:
        FILES.log("importance"),
    benchmark:
        FILES.benchmark("importance")
    conda:
        "../../envs/analysis.yaml"
    params:
        labeller=of("headline"),
        seed=of("seed"),
        bootstrap=of("bootstrap"),
        permutations=of("permutations"),
        notice=of("notice"),
    message:
        "Estimate the importance of each factor: {wildcards.study}"
    script:
        "../scripts/importance.py"


rule regression:
    input:
        unpack(of("estimation_inputs")),
        table7=of("printed_regression"),
        code=library("regression.py"),
    output:
        **tables(*files.REGRESSION),
    log:
        FILES.log("regression"),
    benchmark:
        FILES.benchmark("regression")
    conda:
        "../../envs/analysis.yaml"
    params:
        labeller=of("headline"),
        own=of("is_paper"),
        notice=of("notice"),
    message:
        "Fit the logistic regression: {wildcards.study}"
    script:
        "../scripts/regression.py"


rule claims:
    input:
        unpack(of("estimation_inputs")),
        unpack(of("materials")),
        code=library("claims.py"),
    output:
        **tables("claims"),
    log:
        FILES.log("claims"),
    benchmark:
        FILES.benchmark("claims")
    conda:
        "../../envs/analysis.yaml"
    params:
        labeller=of("headline"),
        models=of("reported_models"),
        seed=of("seed"),
        notice=of("notice"),
    message:
        "Test the paper's claims: {wildcards.study}"
    script:
        "../scripts/claims.py"


# Only for a study whose responses nobody annotated; with annotations, rule validate corrects its results.
rule labeller_range:
    input:
        unpack(of("estimation_inputs")),
        unpack(of("materials")),
        accuracy=files.MEASURED_ACCURACY,
        code=library("labeller_range.py"),
    output:
        **tables("labeller_range"),
    log:
        FILES.log("labeller_range"),
    benchmark:
        FILES.benchmark("labeller_range")
    conda:
        "../../envs/analysis.yaml"
    params:
        labeller=of("headline"),
        language=of("language"),
        models=of("reported_models"),
        seed=of("seed"),
        notice=of("notice"),
    message:
        "Move the results by the labeller's errors elsewhere: {wildcards.study}"
    script:
        "../scripts/labeller_range.py"


rule reproduction:
    input:
        unpack(of("reproduction_inputs")),
        printed=files.PRINTED_FILES,
        code=library("reproduction.py"),
    output:
        **tables("reproduction"),
    log:
        FILES.log("reproduction"),
    benchmark:
        FILES.benchmark("reproduction")
    wildcard_constraints:
        study=any_of([STUDY.name]),
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        labeller=of("headline"),
        comparison=of("comparison.plain"),
        notice=of("notice"),
    message:
        "Compare {wildcards.study} with the published numbers"
    script:
        "../scripts/reproduction.py"


rule labeller_rates:
    input:
        unpack(of("estimation_inputs")),
        code=library("labeller_rates.py"),
    output:
        **tables("labeller_rates"),
    log:
        FILES.log("labeller_rates"),
    benchmark:
        FILES.benchmark("labeller_rates")
    wildcard_constraints:
        study=any_of([STUDY.name]),
    conda:
        "../../envs/analysis.yaml"
    params:
        labellers=of("labellers"),
        notice=of("notice"),
    message:
        "Estimate refusal rates by labeller: {wildcards.study}"
    script:
        "../scripts/labeller_rates.py"


rule batch_check:
    input:
        unpack(of("batch_check_inputs")),
        code=library("batch_check.py"),
    output:
        **tables("batch_check"),
    log:
        FILES.log("batch_check"),
    wildcard_constraints:
        study=any_of([STUDY.name]),
    conda:
        "../../envs/analysis.yaml"
    params:
        labeller=of("batch_check_labeller"),
        models=of("reported_models"),
        tasks=of("tasks"),
        options=of("options"),
        notice=of("notice"),
    message:
        "Compare responses in other batches: {wildcards.study}"
    script:
        "../scripts/batch_check.py"


rule effects:
    input:
        unpack(of("estimation_inputs")),
        code=library("effects.py"),
    output:
        **tables(*files.EFFECTS),
    log:
        FILES.log("effects"),
    benchmark:
        FILES.benchmark("effects")
    wildcard_constraints:
        study=any_of([STUDY.name]),
    conda:
        "../../envs/analysis.yaml"
    params:
        labeller=of("headline"),
        permutations=of("permutations"),
        seed=of("seed"),
        notice=of("notice"),
    message:
        "Estimate persona effects: {wildcards.study}"
    script:
        "../scripts/effects.py"


# Only for a study whose personas cross attributes.
rule attributes:
    input:
        unpack(of("materials")),
        outcomes=FILES.outcomes,
        code=library("attributes.py"),
    output:
        **tables(*files.ATTRIBUTES),
    log:
        FILES.log("attributes"),
    benchmark:
        FILES.benchmark("attributes")
    wildcard_constraints:
        study=any_of([STUDY.name]),
    conda:
        "../../envs/analysis.yaml"
    params:
        labeller=of("headline"),
        personas=of("personas"),
        notice=of("notice"),
    message:
        "Estimate the effects of attributes: {wildcards.study}"
    script:
        "../scripts/attributes.py"


rule within_prompts:
    input:
        outcomes=FILES.outcomes,
        code=library("within_prompts.py"),
    output:
        **tables("within_prompts"),
    log:
        FILES.log("within_prompts"),
    wildcard_constraints:
        study=any_of([STUDY.name]),
    conda:
        "../../envs/analysis.yaml"
    params:
        labeller=of("headline"),
        notice=of("notice"),
    message:
        "Estimate the variance within prompts: {wildcards.study}"
    script:
        "../scripts/within_prompts.py"


rule labeller_comparison:
    input:
        unpack(of("sample_inputs")),
        code=library("labeller_comparison.py"),
    output:
        agreement=FILES.table("labeller_agreement"),
        categories=FILES.table("labeller_categories"),
        disagreements=FILES.disagreements,
        refusals=FILES.refusals,
    log:
        FILES.log("labeller_comparison"),
    benchmark:
        FILES.benchmark("labeller_comparison")
    conda:
        "../../envs/analysis.yaml"
    params:
        models=of("reported_models"),
        most=60,
        refusals=5,
        seed=of("seed"),
        notice=of("notice"),
    message:
        "Compare labellers: {wildcards.study}"
    script:
        "../scripts/labeller_comparison.py"


rule labeller_effects:
    input:
        unpack(of("estimation_inputs")),
        unpack(of("materials")),
        code=library("labeller_effects.py"),
    output:
        **tables("labeller_headline", "labeller_claims"),
    log:
        FILES.log("labeller_effects"),
    benchmark:
        FILES.benchmark("labeller_effects")
    wildcard_constraints:
        study=any_of([STUDY.name]),
    conda:
        "../../envs/analysis.yaml"
    params:
        labellers=of("labellers"),
        models=of("reported_models"),
        personas=of("personas"),
        permutations=of("permutations"),
        seed=of("seed"),
        notice=of("notice"),
    message:
        "Estimate the headline by labeller: {wildcards.study}"
    script:
        "../scripts/labeller_effects.py"
