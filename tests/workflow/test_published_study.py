"""The published study end to end, in fresh copies of the repository."""

import shutil

import pandas as pd
import pytest

TARGET = "published"


@pytest.fixture(scope="module")
def done(checkout):
    """A copy in which the published study has run once, where no job could import torch or transformers."""
    workflow = checkout()
    trap = workflow.path("trap")
    for name in ("torch", "transformers"):
        (trap / name).mkdir(parents=True)
        (trap / name / "__init__.py").write_text("raise AssertionError('imported')")
    workflow.run(TARGET, PYTHONPATH=str(trap))
    return workflow


def files(folder, *suffixes):
    return {f.relative_to(folder): f.read_bytes() for f in sorted(folder.rglob("*")) if f.suffix in suffixes}


def test_it_ends_in_a_report_with_every_table_and_figure(done):
    results = done.path("results/published")
    assert (results / "report/index.html").stat().st_size > 10_000
    tables = {file.stem for file in (results / "tables").glob("*.csv")}
    assert {"table1", "table5", "table6", "rates_persona", "rates_format", "importance", "regression"} <= tables
    figures = {file.stem for file in (results / "figures").glob("*.png")}
    assert {f"figure{number:02d}" for number in range(1, 12)} <= {name[:8] for name in figures}
    for name in figures:
        for suffix in (".pdf", ".csv"):
            assert (results / "figures" / name).with_suffix(suffix).stat().st_size > 0
    assert (results / "statements.csv").is_file()
    assert not any("study" in pd.read_csv(file) for file in (results / "tables").glob("*.csv")), "no rehearsal's notice"


def test_a_second_run_does_nothing(done):
    assert "Nothing to be done" in done.run(TARGET)


@pytest.mark.slow
def test_the_same_bytes_in_another_copy(done, checkout):
    other = checkout()
    other.run(TARGET)
    suffixes = (".csv", ".parquet", ".png", ".pdf", ".svg", ".html", ".json")
    first, second = (files(copy.path("results/published"), *suffixes) for copy in (done, other))
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


def test_editing_a_library_module_reruns_exactly_its_rules(done):
    module = done.path("workflow/falserefusal/estimation/regression.py")
    kept = module.read_text()
    module.write_text(kept + "\n# changed\n")
    jobs = done.dry_run(TARGET)
    module.write_text(kept)
    shown_in = {"published_figures", "published_report", "published"}
    assert set(jobs) == {"regression", "statements"} | shown_in, "statements reads what regression writes"


@pytest.fixture(scope="module")
def tables_alone(done, checkout):
    """A copy with the tables and nothing else."""
    copy = checkout()
    shutil.copytree(done.path("results/published/tables"), copy.path("results/published/tables"))
    return copy


def test_figures_need_tables_alone(tables_alone):
    assert tables_alone.dry_run("published_figures") == {"published_figures": 1}


@pytest.mark.slow
def test_figures_are_redrawn_from_tables_alone(done, tables_alone):
    before = files(tables_alone.path("results/published/tables"), ".csv")
    tables_alone.run("published_figures")
    assert files(tables_alone.path("results/published/tables"), ".csv") == before
    drawn, original = (files(c.path("results/published/figures"), ".png") for c in (tables_alone, done))
    assert drawn == original


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("counts_task_model_persona.csv", "3.09,2069,64", "3.11,2069,64", "line 2, column 'refusal_pct'"),
        ("counts_task_model_persona.csv", "3.09,2069,64", "3.09,0,64", "line 2, column 'n': 0"),
        ("table1_refusal_pct.csv", "Llama2-7B,8.87", "Llama2-7B,108.87", "line 2, column 'nli': 108.87"),
        (
            "counts_task_model_persona.csv",
            "refusal_pct,n,refusals",
            "rate,n,refusals",
            "column 'refusal_pct' is missing",
        ),
        ("quoted_statements.csv", "prompts in the NLI design", "prompts about NLI", "line 2, column 'quantity'"),
        ("table7_logit.csv", "model,Gemma-2B,-8.58,*\n", "", "type 'model', variable 'Gemma-2B' is missing"),
    ],
)
def test_bad_input_ends_in_one_message_before_any_output(checkout, file, old, new, message):
    workflow = checkout()
    path = workflow.path(f"config/published/{file}")
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    output = workflow.run(TARGET, check=False)
    assert f"Error: config/published/{file}: " in output and message in output
    assert "Traceback" not in output
    results = workflow.path("results")
    left = {str(file.relative_to(results)) for file in results.rglob("*") if file.is_file()}
    assert left == {"README.md", "logs/published/published_cells.log"}, "nothing new but the log"


@pytest.mark.parametrize(
    ("setting", "message"),
    [("modles=1", "unknown key 'modles'; did you mean 'models'?"), ("seed=-4", "seed: must be at least 0, not -4")],
)
def test_a_bad_config_stops_before_anything_runs(done, setting, message):
    output = done.run("--dry-run", "--config", setting, check=False)
    assert "config/pilot.yaml, --config: " in output and message in output


def test_a_bad_config_file_is_named(done):
    config = done.path("config/rehearsal.yaml").read_text()
    assert "source: {kind: embedded}" in config
    done.path("config/mine.yaml").write_text(config.replace("{kind: embedded}", "{kind: embedded, pth: x}", 1))
    output = done.run("--dry-run", "--configfile", "config/mine.yaml", check=False)
    assert "config/mine.yaml: tasks.nli.source: unknown key 'pth'" in output
    assert "config/pilot.yaml" not in output
