"""A study of crossed personas, on dummies: its tables, figures and page."""

import pandas as pd


def test_the_example_gives_rates_effects_and_a_section(checkout):
    workflow = checkout()
    page = "results/crossed/report/index.html"
    workflow.run(page, "--configfile", "config/crossed/study.yaml")
    rates, effects = (
        pd.read_csv(workflow.path(f"results/crossed/tables/{name}_attribute.csv"), keep_default_na=False)
        for name in ("rates", "effects")
    )
    assert set(rates["attribute"]) == {"race", "gender", "disability"}
    assert rates.loc[rates["model"] == "mean", "level"].tolist() == ["Black", "white", "man", "woman", "none", "blind"]
    assert set(effects["kind"]) == {"main effect", "interaction"}
    text = workflow.path(page).read_text(encoding="utf-8")
    assert '<section id="attributes">' in text and "too few" not in text.split('<section id="attributes">')[1][:900]
    assert 'id="figure-attribute_interactions"' in text
