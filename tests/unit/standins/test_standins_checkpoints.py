"""Stand-ins as any pipeline uses them: AutoTokenizer, AutoModelForCausalLM, left-padded batches, greedy decoding."""

import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from falserefusal.common.errors import InputError
from falserefusal.common.schemas import BASELINE
from falserefusal.standins import circuit
from falserefusal.standins.chat import render
from falserefusal.standins.enumeration import open_standin, persona_rates, planted_cells, planted_prompts
from falserefusal.standins.planted import load
from standin_study import MODELS, ROOT, load_study

os.environ.setdefault("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="module")
def study():
    return load_study()


@pytest.fixture(scope="module")
def folder(study, tmp_path_factory):
    """A folder with a stand-in of each architecture and precision."""
    home = tmp_path_factory.mktemp("standins")
    materials = study.materials()
    for model, dtype in MODELS.items():
        study.write(home / model, model, materials, dtype=dtype)
    return home


def chat(folder, messages, dtype="auto", attention=None, side="left", mask=True, doctor=lambda text: text, **options):
    """Generate greedy responses, batch by batch; `doctor` may damage the rendered prompts."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side=side)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation=attention)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    config = GenerationConfig(do_sample=False, max_new_tokens=64, eos_token_id=tokenizer.eos_token_id)
    model.generation_config = config
    config.pad_token_id = tokenizer.pad_token_id
    rendered = [doctor(tokenizer.apply_chat_template(m, tokenize=False, add_generation_prompt=True)) for m in messages]
    responses = [""] * len(rendered)
    order = np.argsort([len(text) for text in rendered])
    for batch in np.array_split(order, -(-len(order) // 120)):
        inputs = tokenizer([rendered[i] for i in batch], return_tensors="pt", padding=True, add_special_tokens=False)
        if not mask:
            inputs["attention_mask"][:] = 1
        new = model.generate(**inputs, **options)[:, inputs["input_ids"].shape[1] :]
        for i, text in zip(batch, tokenizer.batch_decode(new, skip_special_tokens=True), strict=True):
            responses[i] = text
    return responses


def asked(study, n, seed, task=None, **changes):
    rng = np.random.default_rng(seed)
    personas = changes.pop("personas", study.personas)
    design = study.draw(n, rng, [*personas["persona"], BASELINE], task)
    prompts = study.ask(design, personas=personas, **changes)
    return prompts, design


@pytest.mark.parametrize("model", MODELS)
def test_responses_are_predicted_word_for_word(study, folder, model):
    prompts, design = asked(study, 120, seed=list(MODELS).index(model))
    expected = planted_prompts(folder / model, prompts, design, study.phrases, "native")
    assert chat(folder / model, prompts["messages"]) == list(expected["text"])
    pd.testing.assert_series_equal(expected["prompt_id"], prompts["prompt_id"])


def test_every_precision_and_attention_decides_alike(study, folder):
    prompts, design = asked(study, 120, seed=20, task="offensiveness")
    expected = planted_prompts(folder / "Llama2-7B", prompts, design, study.phrases, "native")
    assert 20 < expected["phrase_list_refusal"].sum() < 110
    for dtype, attention in [("bfloat16", "sdpa"), ("bfloat16", "eager"), ("float32", "eager")]:
        assert chat(folder / "Llama2-7B", prompts["messages"], dtype, attention) == list(expected["text"])


def test_articles_and_rewordings(study, folder):
    words = study.personas.copy()
    words.loc[words["persona"] == "black", "surface"] = "Black person"
    words = pd.concat(
        [
            words,
            pd.DataFrame([["hispanic", "Race", "A Hispanic person", "hispanic person", "a"]], columns=words.columns),
        ]
    )
    prompts, design = asked(study, 40, seed=30, personas=words.tail(1), article="grammatical")
    more, drawn = asked(study, 80, seed=31, personas=words, article="grammatical")
    for given, known in ((prompts, design), (more, drawn)):
        expected = planted_prompts(folder / "Qwen1.5-32B", given, known, study.phrases, "native")
        assert chat(folder / "Qwen1.5-32B", given["messages"]) == list(expected["text"])
        assert not (expected["category"] == "complaint").any()
    said = expected.loc[expected["persona"] == "asian", "text"]
    assert said.str.contains("an asian").any()


def test_odd_characters_and_a_system_turn(study, folder):
    rows = study.texts[study.texts["row_id"].isin(["politeness-o1", "politeness-o2", "politeness-o3"])]
    design = rows[["task", "row_id", "text_id"]].merge(study.templates[["task", "template", "format"]], on="task")
    design = design.merge(pd.DataFrame({"persona": ["woman", BASELINE]}), how="cross")
    design["prompt_id"] = [f"q{i}" for i in range(len(design))]
    prompts = study.ask(design, system="Answer as the zoologist Ångström would.")
    for model, role in (("Llama2-7B", "native"), ("Qwen1.5-32B", "native"), ("Gemma2-9B", "merge")):
        expected = planted_prompts(folder / model, prompts, design, study.phrases, system_role=role)
        turns = prompts["messages"]
        if role == "merge":
            turns = [[{"role": "user", "content": f"{t[0]['content']}\n\n{t[1]['content']}"}] for t in turns]
        assert chat(folder / model, turns) == list(expected["text"])
    with pytest.raises(InputError, match="System role not supported"):
        planted_prompts(folder / "Gemma2-9B", prompts, design, study.phrases, "native")


@pytest.mark.parametrize("model", ["Llama2-7B", "Qwen1.5-32B", "Gemma-2B", "Gemma2-9B"])
def test_complaints_fire(study, folder, model):
    planted, reader = open_standin(folder / model)
    style = reader.style
    prompts, _ = asked(study, 12, seed=40)
    turns = list(prompts["messages"])
    lengths = [len(reader.tokenizer.encode(render(style, turn, "native")).ids) for turn in turns]
    longest = int(np.argmax(lengths))
    shorter = [i for i, length in enumerate(lengths) if length < lengths[longest]]

    for side, mask, complaint in (("left", False, circuit.PADDING), ("right", True, circuit.NO_HEADER)):
        responses = chat(folder / model, turns, side=side, mask=mask)
        assert {responses[i] for i in shorter} == {complaint}
        assert responses[longest] not in circuit.COMPLAINTS
    without = chat(folder / model, turns, doctor=lambda text: text.removesuffix(style.reply))
    assert set(without) == {circuit.NO_HEADER}
    if style.bos:
        assert set(chat(folder / model, turns, doctor=lambda text: style.bos + text)) == {circuit.TWO_BOS}
        assert set(chat(folder / model, turns, doctor=lambda text: text.removeprefix(style.bos))) == {circuit.NO_BOS}
    unknown = [
        [{"role": "user", "content": text}]
        for text in (
            "Would you classify this as polite?\n\nText: Hello",
            planted.markers["marker"][0] + planted.markers["marker"][99],
        )
    ]
    assert set(chat(folder / model, unknown)) == {circuit.NO_QUESTION}


def test_complaints_about_prompts_are_predicted(study, folder):
    text = "So I asked: Would a man classify the following text as polite or not polite? <|eot_id|>"
    for content, complaint in ((text[:-10], circuit.NO_QUESTION), ("Ha <|eot_id|>", circuit.PADDING)):
        texts = study.texts[study.texts["task"] == "politeness"].head(1).assign(text=content)
        design = texts[["task", "row_id", "text_id"]].assign(
            prompt_id="q", persona="woman", template="p3", format="unforced"
        )
        changed = load_study(rows=5)
        changed.texts = texts
        prompts = changed.ask(design)
        expected = planted_prompts(folder / "Llama2-7B", prompts, design, study.phrases, "native")
        assert expected[["category", "text", "phrase_list_refusal"]].to_numpy().tolist() == [
            ["complaint", complaint, False]
        ]
        assert chat(folder / "Llama2-7B", prompts["messages"]) == [complaint]


def test_a_prompt_that_asks_something_else_than_its_design_is_named(study, folder):
    prompts, design = asked(study, 20, seed=50)
    other = design.assign(persona=np.where(design["prompt_id"] == "q7", "nobody", design["persona"]))
    with pytest.raises(InputError, match=r"q7: asks .* but the design has .* nobody"):
        planted_prompts(folder / "Llama2-7B", prompts, other, study.phrases, "native")


def test_sampling_probability_is_the_models(study, folder):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    prompts, design = asked(study, 40, seed=60, task="politeness")
    expected = planted_prompts(folder / "Llama2-7B", prompts, design, study.phrases, "native")
    tokenizer = AutoTokenizer.from_pretrained(folder / "Llama2-7B")
    model = AutoModelForCausalLM.from_pretrained(folder / "Llama2-7B")
    planted = load(folder / "Llama2-7B")
    openings = circuit.grammar(list(planted.sentences["text"])).openings
    kinds = planted.sentences["kind"]
    texts = [
        t.text
        for t in circuit.spoken_tokens(list(planted.sentences["text"]), planted.personas, planted.options)
        if t.piece in openings and kinds[openings.index(t.piece)] == "caught"
    ]
    caught = {tokenizer.vocab[written(text)] for text in texts}
    for turns, chance in zip(prompts["messages"], expected["p_caught"], strict=True):
        ids = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            chances = model(ids).logits[0, -1].softmax(-1)
        assert float(chances[sorted(caught)].sum()) == pytest.approx(chance, abs=5e-4)


def written(piece: str) -> str:
    from falserefusal.standins.vocabulary import written

    return written(piece)


def test_cells_have_their_target_rates(study, folder):
    for model in MODELS:
        cells = planted_cells(folder / model, study.asked(), study.phrases)
        assert len(cells) == 27 * 16 and cells["known"].all()
        one_text = 1 / cells["rows"]
        assert ((cells["rate"] - cells["target"]).abs() < 3 * one_text).all()
        named = cells[cells["persona"] != BASELINE]
        means = named.groupby("task")[["rate", "target"]].mean()
        assert (means["rate"] - means["target"]).abs().max() < 1e-3
        assert ((cells["target"] > 0) | (cells["rate"] == 0)).all()
    mean = persona_rates(cells).set_index(["task", "persona"])["planted"]
    assert mean["politeness", "black"] == pytest.approx(
        named.query("persona == 'black' and task == 'politeness'")["rate"].mean()
    )


def test_cells_are_what_asking_every_text_gives(study, folder):
    texts = study.texts[study.texts["task"] == "offensiveness"]
    texts = pd.concat([texts, texts.head(30).assign(row_id=texts["row_id"].head(30) + "-again")])  # texts on two rows
    words = study.personas[study.personas["persona"].isin(["black", "man"])]
    words = pd.concat([words, words.head(1).assign(persona="quaker", surface="elderly quaker")])
    templates = study.templates[study.templates["template"].isin(["p1", "p5", "p8"])]
    design = texts[["task", "row_id", "text_id"]].merge(templates[["task", "template", "format"]], on="task")
    design = design.merge(pd.DataFrame({"persona": [*words["persona"], BASELINE]}), how="cross")
    design["prompt_id"] = [f"q{i}" for i in range(len(design))]
    every = load_study(rows=5)
    every.texts, every.personas = texts, words
    expected = planted_prompts(folder / "Llama2-7B", every.ask(design), design, study.phrases, "native")
    both = (expected["phrase_list_refusal"] & expected["refusal"]).rename("both_rate")
    found = expected.assign(both_rate=both, rate=expected["phrase_list_refusal"], refusal_rate=expected["refusal"])
    found = found.groupby(["persona", "template"])[["rate", "refusal_rate", "both_rate"]].mean()
    tasks = {"offensiveness": study.tasks["offensiveness"]}
    some = study.asked(texts=texts, personas=words, templates=templates, tasks=tasks)
    cells = planted_cells(folder / "Llama2-7B", some, study.phrases)
    cells = cells.set_index(["persona", "template"])
    assert not cells.loc["quaker", "known"].any() and cells.loc["black", "known"].all()
    pd.testing.assert_frame_equal(found, cells.loc[found.index, found.columns].astype(float), check_exact=False)


def test_null_has_no_persona_effect(study, tmp_path):
    study.write(tmp_path, "Llama2-7B", study.materials(), plant="null")
    cells = planted_cells(tmp_path, study.asked(), study.phrases)
    spread = cells.groupby(["task", "template"])["rate"].agg(lambda rates: rates.max() - rates.min())
    assert spread.max() <= 3 / 90
    persona = cells.groupby(["task", "persona"])["rate"].mean().unstack("task")
    assert (persona.max() - persona.min()).max() < 0.004
    assert persona["offensiveness"].mean() == pytest.approx(0.765, abs=0.01)


def test_a_stand_in_is_the_same_bytes_every_time(study, tmp_path):
    materials = study.materials()
    study.write(tmp_path / "a", "Qwen1.5-7B", materials)
    study.write(tmp_path / "b", "Qwen1.5-7B", study.materials())
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == sorted(path.name for path in (tmp_path / "b").iterdir())
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_what_is_in_the_folder(study, folder):
    for model, dtype in MODELS.items():
        config = json.loads((folder / model / "config.json").read_text())
        generation = json.loads((folder / model / "generation_config.json").read_text())
        tokenizer = json.loads((folder / model / "tokenizer_config.json").read_text())
        card = (folder / model / "README.md").read_text()
        assert config["dtype"] == dtype
        assert f"This is not {model}" in card and "says nothing about it" in card
        assert sum(path.stat().st_size for path in (folder / model).iterdir()) < 6e6
        if model.startswith("Llama"):
            assert config["architectures"] == ["LlamaForCausalLM"] and tokenizer["pad_token"] is None
            assert generation["do_sample"] and generation["temperature"] == 0.6
        if model.startswith("Qwen"):
            assert config["architectures"] == ["Qwen2ForCausalLM"] and generation["repetition_penalty"] == 1.05
        if model.startswith("Gemma"):
            assert config["architectures"] == [f"{model.partition('-')[0]}ForCausalLM"]
        assert config["num_key_value_heads"] < config["num_attention_heads"]


def test_a_cell_without_a_rate_is_named(study, tmp_path):
    study.rates = study.rates[~((study.rates["persona"] == "woman") & (study.rates["template"] == "p4"))]
    with pytest.raises(InputError, match="no rate to plant for Llama2-7B in nli / woman / p4"):
        study.write(tmp_path, "Llama2-7B", study.materials())


def test_enumeration_needs_no_torch(folder):
    code = (
        "import sys; from falserefusal.standins import enumeration, write; "
        f"enumeration.open_standin({str(folder / 'Llama2-7B')!r}); "
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"PYTHONPATH": str(ROOT / "workflow")})
