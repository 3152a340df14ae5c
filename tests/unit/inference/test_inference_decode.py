"""The decode loop says what one prompt at a time says, whatever shares its batch, leaves it, or runs out of memory."""

import copy
import random

import numpy as np
import pytest
import torch
import transformers

from falserefusal.common.errors import InputError
from falserefusal.inference.decode import Decoder, first_logits, out_of_memory, split_logits, takes_positions
from falserefusal.inference.transformers_engine import TOLERANCE, difference
from job_settings import decoding_with
from tiny_checkpoints import save, tokenizer

ARCHITECTURES = {
    "llama": {},
    "qwen2": {"seed": 1},
    "gemma2": {"seed": 2, "num_key_value_heads": 1},
    "mistral": {"seed": 3, "num_key_value_heads": 4},
}
NEW, COUNT = 20, 80
NEVER = [10**6]  # no token has this id


def prompts(count: int, seed: int = 0) -> list[list[int]]:
    """Heads shared by many prompts, then a text: as a study's, in tokens of the tiny vocabulary."""
    rng = random.Random(seed)
    heads = [[rng.randrange(256) for _ in range(rng.randint(5, 25))] for _ in range(8)]
    return [[*rng.choice(heads), *(rng.randrange(256) for _ in range(rng.randint(1, 70))), 300] for _ in range(count)]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    found = {}
    for arch, options in ARCHITECTURES.items():
        folder = save(tmp_path_factory.mktemp(arch), arch=arch, **options)
        found[arch] = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    return found


@pytest.fixture(scope="module")
def alone(models):
    """What plain `generate` says to each prompt alone, without an end token, for each model: it need run only once,
    since greedy answers with an end token are these, cut at its first occurrence."""
    return {arch: one_by_one(model, prompts(COUNT)) for arch, model in models.items()}


@pytest.fixture(scope="module")
def end(alone):
    """For each model, tokens that end about half of its answers when they are taken as EOS."""
    ends = {}
    for arch, rows in alone.items():
        ends[arch] = []
        for token in range(len(tokenizer())):
            share = sum(bool({token, *ends[arch]} & set(answer)) for answer in rows) / len(rows)
            if share < 0.7 and any(token in answer[4:] for answer in rows):
                ends[arch].append(token)
    return ends


def one_by_one(model, asked, new=NEW):
    model.generation_config = transformers.GenerationConfig(pad_token_id=0, do_sample=False)
    out = []
    for prompt in asked:
        ids = torch.tensor([prompt])
        reply = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=new)
        out.append(reply[0, len(prompt) :].tolist())
    return out


def cut(answer: list[int], eos: list[int]) -> tuple[list[int], str]:
    at = next((i for i, token in enumerate(answer) if token in eos), None)
    return (answer, "length") if at is None else (answer[:at], "stop")


def run(model, asked, eos, decoding=None, batch_tokens=600, share=True, **options):
    decoding = decoding or decoding_with(max_new_tokens=NEW)
    decoder = Decoder(model, eos, decoding, batch_tokens, window=4, share=share)
    ended = [one for _, finished in decoder.run(asked, **options) for one in finished]
    assert sorted(one.row for one in ended) == list(range(len(asked))), "each row ends once"
    return {one.row: one for one in ended}, decoder


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_greedy_answers_equal_those_of_one_prompt_at_a_time(models, alone, end, arch):
    asked = prompts(COUNT)
    rows, decoder = run(models[arch], asked, end[arch])
    assert [(rows[i].tokens, rows[i].reason) for i in range(COUNT)] == [
        cut(answer, end[arch]) for answer in alone[arch]
    ]
    assert {one.reason for one in rows.values()} == {"stop", "length"}, "both ways to end occur"
    assert decoder.prefill_tokens < 0.95 * sum(map(len, asked)), "shared heads were computed once"
    assert all(one.new_tokens == len(one.tokens) + (one.reason == "stop") for one in rows.values())


@pytest.mark.parametrize("batch_tokens", [1, 90, 100_000])
def test_the_batch_size_changes_no_answer(models, end, batch_tokens):
    asked = prompts(40, seed=1)
    usual, _ = run(models["llama"], asked, end["llama"])
    other, _ = run(models["llama"], asked, end["llama"], batch_tokens=batch_tokens)
    assert usual == other


def test_finished_rows_cost_nothing(models, end):
    asked = prompts(80)
    rows, decoder = run(models["llama"], asked, end["llama"], batch_tokens=2000)
    needed = sum(one.new_tokens for one in rows.values())
    assert decoder.decode_tokens < 1.34 * needed < 80 * NEW


def test_a_row_leaves_as_soon_as_its_verdict_is_settled(models, end):
    asked = prompts(60)
    full, _ = run(models["qwen2"], asked, end["qwen2"])
    stopped, _ = run(
        models["qwen2"], asked, end["qwen2"], settled=lambda row, tokens: row % 2 == 0 and len(tokens) == 3
    )
    for row, one in full.items():
        if row % 2 == 0 and len(one.tokens) >= 3:
            assert (stopped[row].tokens, stopped[row].reason) == (one.tokens[:3], "decided")
        else:
            assert stopped[row] == one


def test_sampled_answers_depend_on_their_seed_and_not_on_their_neighbours(models, end):
    asked, seeds = prompts(30), list(range(100, 130))
    decoding = decoding_with(max_new_tokens=NEW, temperature=1.0, top_p=0.9, seed=1)
    together, _ = run(models["llama"], asked, end["llama"], decoding, seeds=seeds)
    for row in (0, 7, 29):
        alone, _ = run(models["llama"], [asked[row]], end["llama"], decoding, seeds=[seeds[row]])
        assert alone[0].tokens == together[row].tokens
    other, _ = run(models["llama"], asked, end["llama"], decoding, seeds=[seed + 1 for seed in seeds])
    assert sum(other[i].tokens != together[i].tokens for i in range(30)) > 20


def test_sampling_draws_tokens_as_often_as_the_model_says(models):
    decoder = Decoder(models["llama"], [], decoding_with(temperature=0.5, top_p=0.8), 600)
    logits = torch.log(torch.tensor([0.5, 0.2, 0.2, 0.1]))  # at temperature 1/2 squared: .735 .118 .118 .029
    rows = range(4000)
    decoder.random = {i: np.random.default_rng([9, i]) for i in rows}
    drawn = decoder._choose(logits.expand(4000, -1), list(rows))
    share = torch.bincount(drawn, minlength=4) / 4000
    assert share[3] == share[2] == 0, "outside the nucleus"
    assert abs(share[0] - 0.862) < 0.02


class Failing:
    """A model that runs out of memory when a batch is larger than it likes, or at given calls."""

    def __init__(self, model, error, limit=10**9, at=()):
        self.model, self.error, self.limit, self.at, self.calls = model, error, limit, set(at), 0
        self.config, self.get_input_embeddings = model.config, model.get_input_embeddings

    def __call__(self, input_ids, **inputs):
        self.calls += 1
        if input_ids.numel() > self.limit or self.calls in self.at:
            raise self.error
        return self.model(input_ids=input_ids, **inputs)


CPU_ERROR = RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory")
CUBLAS = RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), CPU_ERROR, CUBLAS, MemoryError()])
def test_out_of_memory_halves_the_batches_and_goes_on(models, end, error, caplog):
    asked = prompts(60)
    usual, _ = run(models["llama"], asked, end["llama"])
    rows, decoder = run(Failing(models["llama"], error, limit=400), asked, end["llama"], batch_tokens=2000)
    assert rows == usual
    assert decoder.budget in (500, 250)
    assert any("continuing with batches of at most" in record.message for record in caplog.records)


def test_out_of_memory_while_decoding_starts_the_rows_in_flight_again(models):
    asked, seeds = prompts(60), list(range(60))
    for decoding in (decoding_with(max_new_tokens=NEW), decoding_with(max_new_tokens=NEW, temperature=1.0)):
        usual, _ = run(models["llama"], asked, NEVER, decoding, batch_tokens=3000, seeds=seeds)
        broken = Failing(models["llama"], torch.OutOfMemoryError(), at=[9, 30])
        rows, decoder = run(broken, asked, NEVER, decoding, batch_tokens=3000, seeds=seeds)
        assert rows == usual
        assert decoder.budget == 750


def test_a_prompt_that_never_fits_is_an_error_with_advice(models):
    broken = Failing(models["llama"], torch.OutOfMemoryError(), limit=3)
    with pytest.raises(InputError, match=r"a single prompt of \d+ tokens does not fit into the memory"):
        run(broken, prompts(5), [0])


def test_other_errors_are_not_swallowed(models):
    with pytest.raises(RuntimeError, match="shape mismatch"):
        run(Failing(models["llama"], RuntimeError("shape mismatch"), at=[1]), prompts(5), [0])
    assert not out_of_memory(ValueError("out of memory"))


def test_a_sliding_window_shorter_than_the_prompts_is_respected(tmp_path):
    folder = save(tmp_path, arch="mistral", sliding_window=32)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    asked = prompts(40)
    rows, _ = run(model, asked, NEVER)
    assert [rows[i].tokens for i in range(len(asked))] == one_by_one(model, asked)


def alibi():
    """A model that counts positions over columns."""
    torch.manual_seed(0)
    config = transformers.MptConfig(d_model=32, n_heads=4, n_layers=2, max_seq_len=512, vocab_size=400)
    model = transformers.MptForCausalLM(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(6.0)
    return model


def test_a_model_that_counts_positions_over_columns_shares_no_prefix():
    model, asked = alibi(), prompts(40)
    assert not takes_positions(model)
    rows, decoder = run(model, asked, NEVER, share=False)
    assert [rows[i].tokens for i in range(len(asked))] == one_by_one(model, asked)
    assert decoder.prefill_tokens == sum(map(len, asked))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("arch", [*ARCHITECTURES, "alibi"])
def test_logits_far_from_a_shared_prefix_tell_how_positions_are_counted(models, arch, dtype):
    model = (alibi() if arch == "alibi" else copy.deepcopy(models[arch])).to(getattr(torch, dtype))
    asked = [prompt for prompt in prompts(20) if len(prompt) > 30][:5]
    found = [difference(first_logits(model, [one])[0], split_logits(model, one)[0]) for one in asked]
    assert (max(found) <= TOLERANCE[dtype]) == (arch != "alibi")


def test_a_model_without_a_plain_cache_is_sent_to_a_server(models):
    mamba = transformers.MambaForCausalLM(transformers.MambaConfig(vocab_size=9, hidden_size=8, num_hidden_layers=1))
    with pytest.raises(InputError, match=r"MambaForCausalLM has .* layers.*backend: vllm"):
        Decoder(mamba, [0], decoding_with(), 600)
    lfm = transformers.Lfm2Config(
        vocab_size=9, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, layer_types=["conv", "full_attention"]
    )
    with pytest.raises(InputError, match="conv"):
        Decoder(transformers.Lfm2ForCausalLM(lfm), [0], decoding_with(), 600)


def test_greedy_decoding_has_no_seed_and_no_nucleus():
    assert decoding_with(seed=1, top_p=0.5).parameters == decoding_with(seed=2).parameters
    assert decoding_with(temperature=1, seed=1).parameters != decoding_with(temperature=1, seed=2).parameters
