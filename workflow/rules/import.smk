# Import: responses that were made elsewhere, in place of asking models (docs/how-to/import.md). Where the config has no
# tasks, texts, design and prompts follow from the files of responses, too.


IMPORTED = {
    "responses": [STUDY.files.responses(model) for model in STUDY.models],
    "records": STUDY.imported_records,
    "verdicts": STUDY.given_verdicts,
}


if STUDY.imported:

    rule import_responses:
        input:
            responses=of("response_files"),
            templates=of("config.materials.templates"),
            materials=of("own_materials"),
            code=library("import_responses.py"),
        output:
            **IMPORTED,
            texts=STUDY.text_files,
            problems=[STUDY.files.text_problems(task) for task in STUDY.tasks],
            prompts=STUDY.prompt_files,
            design=STUDY.files.design,
            balance=STUDY.files.table("design_balance"),
        log:
            STUDY.files.log("import_responses"),
        benchmark:
            STUDY.files.benchmark("import_responses")
        localrule: True
        conda:
            "../../envs/analysis.yaml"
        params:
            given=of("config.responses"),
            names=of("names_in_files"),
            models=of("models"),
            personas=of("personas"),
            tasks=of("tasks"),
            words=of("imported_words"),
        message:
            "Import the responses"
        script:
            "../scripts/import_responses.py"

else:

    rule match_responses:
        input:
            responses=of("response_files"),
            models=of("config.materials.models"),
            prompts=of("prompt_files"),
            design=STUDY.files.design,
            code=library("match_responses.py"),
        output:
            **IMPORTED,
        log:
            STUDY.files.log("match_responses"),
        benchmark:
            STUDY.files.benchmark("match_responses")
        localrule: True
        conda:
            "../../envs/analysis.yaml"
        params:
            given=of("config.responses"),
            names=of("names_in_files"),
            models=of("models"),
            words=of("imported_words"),
        message:
            "Match the responses with the prompts of the study"
        script:
            "../scripts/match_responses.py"
