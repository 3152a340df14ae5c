"""The Python API: what `import falserefusal` gives, on frames with known effects."""

import doctest
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import falserefusal as fr
from falserefusal import api

FEW = {"permutations": 100, "bootstrap": 100}


def simulated(models=("a", "b"), texts=120, effect=0.3, seed=1, personas=("nurse", "poet", "black woman")):
    """A frame of text, model, persona and refused; only the last persona raises the rate, by `effect`."""
    rng = np.random.default_rng(seed)
    rows = []
    for number, model in enumerate(models):
        for text in range(texts):
            rate = 0.1 + 0.15 * number + 0.1 * rng.random()
            for persona in ("no persona", *personas):
                own = rate + effect * (persona == personas[-1])
                rows.append((f"text {text}", model, persona, bool(rng.random() < own)))
    return pd.DataFrame(rows, columns=["text", "model", "persona", "refused"])


@pytest.fixture(scope="module")
def result():
    return fr.analyse(simulated(), **FEW)


def test_examples_of_docstrings_run(root, monkeypatch):
    monkeypatch.chdir(root)
    found = doctest.testmod(api)
    assert found.attempted > 10 and not found.failed


def test_importing_the_package_imports_nothing_heavy(root):
    code = "import sys, falserefusal; print([m for m in ('pandas', 'numpy', 'jinja2', 'scipy') if m in sys.modules])"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=root / "workflow", check=True
    )
    assert run.stdout.strip() == "[]"
    assert set(fr.__all__) <= set(dir(fr))
    with pytest.raises(AttributeError, match="no attribute 'analyze'; it has Analysis"):
        _ = fr.analyze


@pytest.mark.parametrize("columns", [{}, {"text": None}])
def test_an_effect_that_is_there_is_found(columns):
    found = fr.analyse(simulated(), **columns, **FEW)
    effects = found.effects.set_index(["model", "persona"])
    assert set(effects.index) == {(m, p) for m in "ab" for p in ("nurse", "poet", "black woman")}
    raised = effects.xs("black woman", level="persona")
    assert (raised["lo"] > 0.1).all() and (raised["hi"] < 0.5).all()
    assert found.mean_effects.query("persona == 'black woman' and model == 'mean'")["lo"].item() > 0.2


def test_effects_are_those_of_the_rates(result):
    rates = result.rates.set_index(["model", "persona"])["rate"]
    effects = result.effects.set_index(["model", "persona"])["difference"]
    for (model, persona), effect in effects.items():  # complete prompts: least squares gives the plain difference
        assert effect == pytest.approx(rates[model, persona] - rates[model, "no persona"])


def test_the_screen_finds_it_and_nothing_else(result):
    raised = result.screen.query("raises")
    assert set(zip(raised["model"], raised["persona"], strict=True)) == {("a", "black woman"), ("b", "black woman")}


def test_a_summary_names_what_is_separated(result):
    lines = result.summary().splitlines()
    assert lines[0].startswith("Refusals with a persona: ") and lines[0].endswith(
        " of 720 responses (31.4%) of 2 models."
    )
    assert lines[1].startswith("“black woman” is refused most often: “black woman” minus ")
    assert "2 of 6 persona effects raise a refusal rate (test with 5% family-wise error rate)." in lines


def test_a_summary_names_nobody_without_an_effect():
    text = fr.analyse(simulated(models=("a",), effect=0.0), **FEW).summary()
    assert "No persona is refused clearly more often than another" in text
    assert not any(name in text for name in ("nurse", "poet", "black woman"))


def test_a_persona_effect_is_above_the_noise_floor_of_complete_prompts(result):
    persona = result.importance.query("factor == 'persona' and scope == 'all'").iloc[0]
    assert persona["index"] > 2 * persona["floor_q95"] and persona["lo"] > 0
    quiet = fr.analyse(simulated(effect=0.0), **FEW).importance.query("factor == 'persona' and scope == 'all'").iloc[0]
    assert quiet["index"] < 1.5 * quiet["floor_q95"]


def test_what_the_frame_lacks_is_absent_with_the_reason():
    frame = simulated(models=("a",), personas=("nurse",))
    found = fr.analyse(frame, **FEW)
    assert found.notes == {
        "between": "there is only one persona, nurse",
        "mean_effects": "there is only one model, so there is nothing to average",
        "importance": "no factor has several levels, so there is nothing to compare",
    }
    with pytest.raises(fr.InputError, match="between: there is only one persona, nurse"):
        _ = found.between
    with pytest.raises(
        fr.InputError, match=r"no row has persona 'none' .there is 'no persona' and 'nurse'.: name the rows"
    ):
        fr.analyse(frame, baseline="none", **FEW)
    assert set(fr.analyse(frame, text=None, **FEW).notes) == {"between", "mean_effects", "importance", "screen"}
    lone = frame[(frame["text"] < "text 5") == (frame["persona"] == "nurse")]
    assert fr.analyse(lone, **FEW).notes["screen"] == "no text has responses both with and without a persona"


def test_a_result_prints_as_its_sentences_and_what_is_absent():
    found = fr.analyse(simulated(models=("a",), personas=("nurse",)), **FEW)
    lines = repr(found).splitlines()
    assert lines[: len(found.summary().splitlines())] == found.summary().splitlines()
    assert "No between: there is only one persona, nurse" in lines
    assert any(line.startswith("Tables: rates, ") for line in lines)


def test_a_sentence_is_not_said_twice():
    summary = fr.analyse(simulated().assign(refused=False), **FEW).summary().splitlines()
    assert len(summary) == len(set(summary))


def test_no_responses_have_no_verdicts():
    assert list(fr.label([], options=["a", "b"])) == ["verdict", "category", "choice", "evidence"]


@pytest.mark.parametrize("options", [["polite"], ["polite", "Polite "]])
def test_options_are_different_words(options):
    with pytest.raises(fr.InputError, match="must be two or more different words"):
        fr.label(["polite"], options=options)


def test_a_model_without_baseline_is_named():
    frame = simulated()
    frame = frame[(frame["model"] == "a") | (frame["persona"] != "no persona")]
    assert fr.analyse(frame, **FEW).notes["effects"] == "b has no row with persona 'no persona'"


def test_tasks_and_templates_are_factors():
    parts = [
        simulated(texts=40, seed=s).assign(task=t, asked=k) for s, (t, k) in enumerate([("x", 1), ("x", 2), ("y", 1)])
    ]
    found = fr.analyse(pd.concat(parts, ignore_index=True), task="task", template="asked", **FEW)
    assert set(found.importance["factor"]) == {"model", "task", "persona", "template"}
    assert "Y: naming a persona" in found.summary()
    assert len(found.effects) == 6


def test_figures_are_drawn(result):
    figures = result.plots()
    assert {"model_task", "persona_mean", "persona_by_model", "importance"} <= set(figures)
    assert result.plot_personas().get_label().startswith("“black woman” is refused most often")
    for figure in (result.plot_models(), result.plot_importance()):
        assert figure.axes
    lone = fr.analyse(simulated(models=("a",), personas=("nurse",)), **FEW)
    with pytest.raises(fr.InputError, match="importance: no factor has several levels"):
        lone.plot_importance()


def test_without_matplotlib_the_message_says_what_to_install(root):
    code = "import sys, pandas, falserefusal as fr; sys.modules['seaborn'] = sys.modules['matplotlib'] = None\n"
    code += "rows = [(t, 'm', p, t == p) for t in 'ab' for p in ('a', 'no persona')]\n"
    code += "frame = pandas.DataFrame(rows, columns=['text', 'model', 'persona', 'refused'])\n"
    code += "fr.analyse(frame, bootstrap=9, permutations=9).plots()"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=root / "workflow", check=False
    )
    assert run.stderr.splitlines()[-1].endswith("figures need matplotlib: pip install 'falserefusal[figures]'")


def test_labels_keep_the_index_and_every_language_is_there():
    said = pd.Series({"x": "Lo siento, no puedo ayudar con eso.", "y": "sí", "z": None})
    labelled = fr.label(said, ["sí", "no"], language="es", yes_no=True)
    assert list(labelled.index) == ["x", "y", "z"]
    assert list(labelled["verdict"]) == ["refused", "answered", "missing"]
    german = fr.label(
        ["Tut mir leid, dabei kann ich nicht helfen.", "höflich"], ["höflich", "unhöflich"], language="de"
    )
    assert list(german["verdict"]) == ["refused", "answered"] and german["choice"][1] == "höflich"


def test_a_frame_may_have_options_of_its_own():
    frame = pd.DataFrame({"response": ["Yes", "blue"], "options": [["yes", "no"], ["blue", "red"]]})
    assert list(fr.label(frame)["choice"]) == ["yes", "blue"]


def test_free_chat_is_warned_of():
    with pytest.warns(UserWarning, match="give the options"):
        assert list(fr.label(["I can't help with that."])["verdict"]) == ["refused"]


@pytest.mark.parametrize(
    ("responses", "options", "language", "message"),
    [
        ("I cannot", ["a"], "en", "give a list of responses"),
        (["I cannot"], "a", "en", r"give a list, such as \['a', ...\]"),
        (["I cannot", 3], ["a", "b"], "en", "row 1 must be a text, not 3"),
        (["I cannot"], ["a", "b"], "fr", "language 'fr' has no patterns; choose from de, en, es"),
        (pd.DataFrame({"said": ["a"]}), ["a", "b"], "en", "no column 'response'; the frame has said"),
    ],
)
def test_wrong_responses_have_one_message(responses, options, language, message):
    with pytest.raises(fr.InputError, match=message):
        fr.label(responses, options, language=language)


def test_a_study_is_loaded_from_any_folder(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert fr.load_study(root / "config/pilot.yaml").name == "pilot"
    for text, message in [("- a\n", "must be keys and values"), ("a: [", "not a YAML file"), (None, "No such file")]:
        path = tmp_path / "study.yaml"
        path.write_text(text) if text else path.unlink()
        with pytest.raises(fr.InputError, match=message):
            fr.load_study(path)
