# From cells (and judged draws, where a study has them) to tables.


rule rates:
    input:
        unpack(judged),
        unpack(stimuli_of),
        table1=f"{PRINTED}/table1_refusal_pct.csv",
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
    message:
        "Refusal rates of {wildcards.study}"
    script:
        "../scripts/rates.py"


rule importance:
    input:
        unpack(judged),
        figure5=f"{PRINTED}/figure5_importance.csv",
        code=library("importance.py"),
    output:
        **tables("importance", "sensitivity"),
    log:
        "<logs>/{study}/importance.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        labeller=main_labeller,
        seed=config["seed"],
        bootstrap=config["estimation"]["bootstrap"],
        permutations=config["estimation"]["permutations"],
    message:
        "Sensitivity of refusal to each factor of {wildcards.study}"
    script:
        "../scripts/importance.py"


rule regression:
    input:
        unpack(judged),
        table7=f"{PRINTED}/table7_logit.csv",
        code=library("regression.py"),
    output:
        **tables("regression"),
    log:
        "<logs>/{study}/regression.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        labeller=main_labeller,
    message:
        "Logistic regression of {wildcards.study}"
    script:
        "../scripts/regression.py"
