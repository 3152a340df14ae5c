# Estimates: from cells, and outcomes where a study has them, to tables.


rule rates:
    input:
        unpack(estimation_inputs),
        unpack(materials_of),
        table1=f"{PRINTED}/table1_refusal_pct.csv",
        quoted=f"{PRINTED}/quoted_statements.csv",
        code=library("rates.py"),
    output:
        **tables("table1", *RATES),
    log:
        "<logs>/{study}/rates.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        labeller=main_labeller,
        models=lambda wildcards: names_of(wildcards, "models"),
        personas=lambda wildcards: names_of(wildcards, "personas"),
        notice=notice,
    message:
        "Estimate refusal rates: {wildcards.study}"
    script:
        "../scripts/rates.py"


rule importance:
    input:
        unpack(estimation_inputs),
        figure5=lambda wildcards: printed_for(wildcards, "figure5_importance"),
        code=library("importance.py"),
    output:
        **tables("importance", "sensitivity"),
    log:
        "<logs>/{study}/importance.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        labeller=main_labeller,
        seed=chance("seed"),
        bootstrap=chance("bootstrap"),
        permutations=chance("permutations"),
        notice=notice,
    message:
        "Estimate the importance of each factor: {wildcards.study}"
    script:
        "../scripts/importance.py"


rule regression:
    input:
        unpack(estimation_inputs),
        table7=lambda wildcards: printed_for(wildcards, "table7_logit"),
        code=library("regression.py"),
    output:
        **tables("regression", "regression_firth", "interactions", "deviance"),
    log:
        "<logs>/{study}/regression.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        labeller=main_labeller,
        notice=notice,
    message:
        "Fit the logistic regression: {wildcards.study}"
    script:
        "../scripts/regression.py"


rule claims:
    input:
        unpack(estimation_inputs),
        unpack(materials_of),
        code=library("claims.py"),
    output:
        **tables("claims"),
    log:
        "<logs>/{study}/claims.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        labeller=main_labeller,
        models=lambda wildcards: names_of(wildcards, "models"),
        seed=chance("seed"),
        notice=notice,
    message:
        "Test the paper's claims: {wildcards.study}"
    script:
        "../scripts/claims.py"


rule comparison:
    input:
        tables=expand(
            "<results>/{{study}}/tables/{table}.csv",
            table=["rates_model_task", "rates_task_model_persona", "rates_format", "importance"],
        ),
        printed=PRINTED_FILES,
        code=library("comparison.py"),
    output:
        **tables("comparison"),
    log:
        "<logs>/{study}/comparison.log",
    wildcard_constraints:
        study=STUDY,
    conda:
        "../../envs/analysis.yaml"
    params:
        notice=notice,
    message:
        "Compare {wildcards.study} with the published numbers"
    script:
        "../scripts/comparison.py"


rule labeller_rates:
    input:
        unpack(estimation_inputs),
        code=library("labeller_rates.py"),
    output:
        **tables("labeller_rates"),
    log:
        "<logs>/{study}/labeller_rates.log",
    wildcard_constraints:
        study=STUDY,
    conda:
        "../../envs/analysis.yaml"
    params:
        labellers=LABELLERS,
        notice=notice,
    message:
        "Estimate refusal rates by labeller: {wildcards.study}"
    script:
        "../scripts/labeller_rates.py"


rule effects:
    input:
        unpack(estimation_inputs),
        code=library("effects.py"),
    output:
        **tables(*EFFECTS),
    log:
        "<logs>/{study}/effects.log",
    wildcard_constraints:
        study=STUDY,
    conda:
        "../../envs/analysis.yaml"
    params:
        labeller=main_labeller,
        permutations=chance("permutations"),
        seed=chance("seed"),
        notice=notice,
    message:
        "Estimate persona effects: {wildcards.study}"
    script:
        "../scripts/effects.py"


rule labeller_comparison:
    input:
        verdicts=expand("<results>/{{study}}/verdicts/{model}.parquet", model=REPORTED_MODELS),
        responses=expand("<results>/{{study}}/responses/{model}.parquet", model=REPORTED_MODELS),
        prompts=expand("<results>/{{study}}/prompts/{task}.parquet", task=config["tasks"]),
        design=rules.design.output.design,
        code=library("labeller_comparison.py"),
    output:
        agreement="<results>/{study}/tables/labeller_agreement.csv",
        categories="<results>/{study}/tables/labeller_categories.csv",
        disagreements="<results>/{study}/disagreements.csv",
        refusals="<results>/{study}/refusals.csv",
    log:
        "<logs>/{study}/labeller_comparison.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        models=REPORTED_MODELS,
        most=60,
        refusals=5,
        seed=config["seed"],
        notice=notice,
    message:
        "Compare labellers: {wildcards.study}"
    script:
        "../scripts/labeller_comparison.py"


rule labeller_effects:
    input:
        unpack(estimation_inputs),
        unpack(materials_of),
        code=library("labeller_effects.py"),
    output:
        **tables("labeller_headline", "labeller_claims"),
    log:
        "<logs>/{study}/labeller_effects.log",
    wildcard_constraints:
        study=STUDY,
    conda:
        "../../envs/analysis.yaml"
    params:
        labellers=LABELLERS,
        models=lambda wildcards: names_of(wildcards, "models"),
        personas=lambda wildcards: names_of(wildcards, "personas"),
        permutations=config["estimation"]["permutations"],
        seed=config["seed"],
        notice=notice,
    message:
        "Estimate the headline by labeller: {wildcards.study}"
    script:
        "../scripts/labeller_effects.py"
