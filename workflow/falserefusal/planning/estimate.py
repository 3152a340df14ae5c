"""Estimate tokens, memory and time of a model's responses to N prompts. Plain arithmetic without slow imports.

A roofline estimate: processing the prompts is limited by arithmetic, generating the responses by memory traffic or by
the time to launch a layer's kernels. Every assumption is a key of ASSUMPTIONS and is printed with the result. Savings
by early decisions and shared prefixes are not counted, so the estimate is rather too high.
"""

from math import ceil

GB = 1e9
ASSUMPTIONS = {
    "dtype": "auto",  # of the weights and the KV cache while running; auto: as stored
    "quantization": None,  # of the weights: 8bit, 4bit or None
    "stored_bytes_per_parameter": 2.0,  # what the hub's safetensors files hold
    "characters_per_token": 4.0,  # English under vocabularies of 32,000 (fewer) to 256,000 entries (more)
    "chat_template_tokens": 25,  # role markers, and a default system turn where a template has one
    "max_new_tokens": 128,
    "responses_at_cap": 0.3,  # share of responses that run to max_new_tokens ...
    "short_response_tokens": 8,  # ... and tokens of the others
    "token_budget": 16384,  # prompt and new tokens of one batch
    "arithmetic_efficiency": 0.35,  # of the card's peak, on prompts
    "bandwidth_efficiency": 0.6,  # of the card's memory bandwidth, on new tokens
    "launch_ms_per_layer": 0.8,  # host time for one layer of one decoding step without CUDA graphs
    "startup_minutes": 5.0,  # imports and weights, per job
    "usable_memory": 0.9,  # of a card's memory
    "hours_per_shard": None,  # split a model over jobs of at most so many hours; None: one job per model
}
JUDGE_TOKENS = 32  # most new tokens of a judge's reply
BYTES = {"auto": None, "float32": 4, "bfloat16": 2, "float16": 2}
QUANTIZED_BYTES = {"8bit": 1.05, "4bit": 0.55}  # with their scales


SHAPE = ["params_b", "layers", "kv_heads", "head_dim", "hidden", "vocab"]
TIMES = ["cards", "token_budget", "shards", "prefill_hours", "decode_hours", "startup_hours", "hours", "gpu_hours"]


def network(model: dict) -> dict:
    """SHAPE as numbers, from a row of the models file (as text or parsed); None where the row is empty.

    params_b falls back on size_b, the rounded size in the model's name.
    """
    row = {name: model.get(name) for name in [*SHAPE, "size_b"]}
    known = {name: float(value) for name, value in row.items() if value not in (None, "") and value == value}  # NaN
    return {name: known.get(name) for name in SHAPE} | {"params_b": known.get("params_b", known["size_b"])}


def tokens(prompts: float, characters: float, assume: dict) -> dict:
    """Total prompt and new tokens of `prompts` prompts with `characters` characters each on average."""
    cap = assume["max_new_tokens"]
    short = min(assume["short_response_tokens"], cap)
    new = assume["responses_at_cap"] * cap + (1 - assume["responses_at_cap"]) * short
    each = characters / assume["characters_per_token"] + assume["chat_template_tokens"]
    return {"prompts": prompts, "prompt_tokens": prompts * each, "new_tokens": prompts * new}


def judge_load(load: dict, instructions: int, assume: dict) -> dict:
    """Load of a judge of the responses to `load`: question, response and `instructions` (characters) per prompt."""
    reads = load["prompts"] * instructions / assume["characters_per_token"]
    prompt_tokens = load["prompt_tokens"] + load["new_tokens"] + reads
    return {"prompts": load["prompts"], "prompt_tokens": prompt_tokens, "new_tokens": load["prompts"] * JUDGE_TOKENS}


def batch_size(load: dict, assume: dict) -> int:
    """Number of prompts that are decoded together within the token budget."""
    each = load["prompt_tokens"] / max(load["prompts"], 1) + assume["max_new_tokens"]
    return max(1, int(assume["token_budget"] / max(each, 1)))


def memory(model: dict, load: dict, assume: dict) -> dict:
    """Memory in GB (10^9 bytes): disk_gb, weights_gb, kv_gb and memory_gb (the total while running).

    kv is 2 x layers x kv_heads x head_dim values for each token of the budget. The total adds activations (16
    hidden-sized tensors per token of the budget), the logits of one decoding step in float32 twice, and 1 GB for the
    runtime. An unknown shape (None) counts as 0.
    """
    size = BYTES[assume["dtype"]] or assume["stored_bytes_per_parameter"]
    shape = {name: model.get(name) or 0 for name in ("layers", "kv_heads", "head_dim", "hidden", "vocab")}
    weights = model["params_b"] * QUANTIZED_BYTES.get(assume["quantization"], size)
    kv = 2 * shape["layers"] * shape["kv_heads"] * shape["head_dim"] * size * assume["token_budget"] / GB
    activations = 16 * shape["hidden"] * size * assume["token_budget"] / GB
    logits = 2 * 4 * shape["vocab"] * batch_size(load, assume) / GB
    disk = model["params_b"] * assume["stored_bytes_per_parameter"]
    return {"disk_gb": disk, "weights_gb": weights, "kv_gb": kv, "memory_gb": weights + kv + activations + logits + 1}


def fit(model: dict, load: dict, card: dict, assume: dict) -> tuple[int | None, int]:
    """Cards that hold the model, and the token budget then left for a batch.

    The fewest cards that hold weights and an eighth of the token budget; then the largest of the budget's halves that
    they hold (a job halves its batches when memory runs out). A cpu is never ganged: None if the model does not fit.
    """
    budgets = [max(1, assume["token_budget"] // part) for part in (1, 2, 4, 8)]
    needs = [memory(model, load, assume | {"token_budget": budget})["memory_gb"] for budget in budgets]
    usable = card["memory_gb"] * assume["usable_memory"]
    cards = max(1, ceil(needs[-1] / usable))
    if card["kind"] == "cpu" and cards > 1:
        return None, 0
    return cards, next(budget for budget, need in zip(budgets, needs, strict=True) if need <= cards * usable)


def hours(model: dict, load: dict, card: dict, assume: dict) -> dict:
    """Time on a card: cards, token_budget (both from `fit`), shards, prefill, decode and start-up hours, and sums.

    prefill: 2 x parameters x prompt tokens operations. decode: each step reads the weights and the batch's KV cache;
    it takes the longest of that traffic, its arithmetic, and the launches. Several cards hold a model's layers one
    after the other (device_map), so they add memory, not speed: gpu_hours are hours x cards. `hours` is what all
    shards of the model take one after the other. Where the model does not fit, all values are None.
    """
    cards, budget = fit(model, load, card, assume)
    if cards is None:
        return dict.fromkeys(TIMES)
    assume = assume | {"token_budget": budget}
    need = memory(model, load, assume)
    flops = card["bf16_tflops"] * 1e12 * assume["arithmetic_efficiency"]
    full = batch_size(load, assume)
    batch = max(1, min(full, load["prompts"]))
    operations = 2 * model["params_b"] * 1e9
    bandwidth = card["bandwidth_gb_s"] * assume["bandwidth_efficiency"]
    traffic = (need["weights_gb"] + need["kv_gb"] * batch / full) / bandwidth
    launch = (model.get("layers") or 0) * assume["launch_ms_per_layer"] / 1000 if card["kind"] == "gpu" else 0.0
    prefill = operations * load["prompt_tokens"] / flops / 3600
    decode = load["new_tokens"] / batch * max(traffic, operations * batch / flops, launch) / 3600
    most = assume["hours_per_shard"]
    shards = assume.get("shards") or (1 if most is None else max(1, ceil((prefill + decode) / most)))
    startup = assume["startup_minutes"] / 60 * shards
    total = prefill + decode + startup
    return dict(zip(TIMES, (cards, budget, shards, prefill, decode, startup, total, total * cards), strict=True))


def job_resources(model: dict, load: dict, card: dict, assume: dict) -> dict:
    """What one inference job (a shard of a model) asks a scheduler for: gpu, mem_mb of the host, runtime in minutes.

    Host memory holds the weights once while they are loaded; runtime is twice the estimate. Where the model does not
    fit on the card, gpu is None.
    """
    time = hours(model, load, card, assume)
    weights = memory(model, load, assume)["weights_gb"]
    if time["cards"] is None:
        return {"gpu": None, "mem_mb": None, "runtime": None}
    gpu = time["cards"] if card["kind"] == "gpu" else 0
    return {"gpu": gpu, "mem_mb": ceil(8000 + 1100 * weights), "runtime": ceil(120 * time["hours"] / time["shards"])}


def wall_hours(jobs: list[tuple[float | None, int | None]], cards: int) -> float | None:
    """Wall clock of jobs (hours, cards each) on `cards` cards, longest job first; None if one of them does not fit."""
    if any(need is None or need > cards for _, need in jobs):
        return None
    free = [0.0] * cards
    for length, need in sorted(jobs, reverse=True):
        free.sort()
        free[:need] = [free[need - 1] + length] * need
    return max(free, default=0.0)
