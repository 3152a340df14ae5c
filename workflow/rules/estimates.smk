# From cells (and judged draws, where a study has them) to tables.


rule rates:
    input:
        unpack(judged),
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
        "Refusal rates of {wildcards.study}"
    script:
        "../scripts/rates.py"


rule importance:
    input:
        unpack(judged),
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
        "Sensitivity of refusal to each factor of {wildcards.study}"
    script:
        "../scripts/importance.py"


rule regression:
    input:
        unpack(judged),
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
        "Logistic regression of {wildcards.study}"
    script:
        "../scripts/regression.py"


rule claims:
    input:
        unpack(judged),
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
        "Deciding the paper's claims on {wildcards.study}"
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
        "Putting {wildcards.study} beside the paper"
    script:
        "../scripts/comparison.py"


rule labeller_rates:
    input:
        unpack(judged),
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
        "Refusal rates of {wildcards.study} under each labeller"
    script:
        "../scripts/labeller_rates.py"


rule effects:
    input:
        unpack(judged),
        code=library("effects.py"),
    output:
        **tables("effects_persona", "effects_mean", "effects_between", "rates_shrunken"),
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
        "Effects of personas in {wildcards.study}"
    script:
        "../scripts/effects.py"
