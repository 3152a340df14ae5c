"""What a reader sees in place of a name."""

from falserefusal.common.naming import system_prompts_for_models


def test_models_become_system_prompts_in_words_but_not_in_names():
    said = system_prompts_for_models("Models by model: tables/rates_model_task.csv, remodelled")
    assert said == "System prompts by system prompt: tables/rates_model_task.csv, remodelled"
