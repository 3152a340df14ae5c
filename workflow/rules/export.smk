# Export: the prompts of the study for other programs, whose responses can be imported (docs/how-to/export.md).


rule export:
    input:
        prompts=STUDY.prompt_files,
        design=STUDY.files.design,
        code=library("export.py"),
    output:
        folder=directory(STUDY.files.export),
    log:
        STUDY.files.log("export"),
    benchmark:
        STUDY.files.benchmark("export")
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        study=STUDY.name,
        models=of("exported_models"),
        decoding=of("exported_decoding"),
    message:
        "Export the prompts"
    script:
        "../scripts/export.py"
