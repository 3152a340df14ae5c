"""Roofline estimate of what N prompts cost on one GPU: tokens, memory, time. Plain arithmetic on plain numbers.

Reading the prompts is bound by arithmetic; writing the responses is bound by memory traffic or by the time it takes to
launch the kernels of a layer (the roofline model: Williams, Waterman and Patterson 2009, CACM 52(4):65). Every
assumption is a key of ASSUMPTIONS and is printed with the result. Savings from early decision and shared prefixes are
not counted, so the estimate is too high rather than too low. A processor is described by the same columns as a GPU.
"""

from math import ceil
from typing import Any

GB = 1e9  # bytes
BATCH_TOKENS = 16384  # of one batch, where the memory has room for them
ASSUMPTIONS = {
    "dtype": "auto",  # of the weights and the KV cache while running; auto: as stored
    "quantization": None,  # of the weights: 8bit, 4bit or None
    "stored_bytes_per_parameter": 2.0,  # what the hub's safetensors files hold
    "characters_per_token": 4.0,  # English under vocabularies of 32,000 (fewer) to 256,000 entries (more)
    "chat_template_tokens": 25,  # role markers, and a default system turn where a template has one
    "max_new_tokens": 128,
    "responses_at_cap": 0.3,  # share of responses that run to max_new_tokens ...
    "short_response_tokens": 8,  # ... and tokens of the others
    "decided_tokens": 4,  # of a response until phrase_list is certain of its verdict
    "token_budget": BATCH_TOKENS,  # prompt and new tokens of one batch
    "arithmetic_efficiency": 0.35,  # of the gpu's peak, on prompts
    "bandwidth_efficiency": 0.6,  # of the gpu's memory bandwidth, on new tokens
    "launch_ms_per_layer": 0.8,  # host time for one layer of one decoding step without CUDA graphs
    "startup_minutes": 5.0,  # imports and weights, per job
    "vllm_time_share": 0.48,  # vLLM's computing time as a share of that of transformers, on one processor core
    "usable_memory": 0.9,  # of a gpu's memory
    "server_first_token_seconds": 1.0,  # of one request to a server ...
    "server_tokens_per_second": 50.0,  # ... and its speed from then on
    "hours_per_shard": None,  # split a model over jobs of at most so many hours; None: one job per model
}
JUDGE_TOKENS = 32  # longest reply of a judge whose prompt names no other length
BYTES = {"auto": None, "float32": 4, "bfloat16": 2, "float16": 2}
QUANTIZED_BYTES = {"8bit": 1.05, "4bit": 0.55}  # with their scales


TIMES = ["gpus", "token_budget", "shards", "prefill_hours", "decode_hours", "startup_hours", "hours", "gpu_hours"]


def tokens(prompts: float, characters: float, assume: dict[str, Any]) -> dict[str, Any]:
    """Prompt and new tokens (in all) of `prompts` prompts with `characters` characters each on average."""
    cap = assume["max_new_tokens"]
    short = min(assume["short_response_tokens"], cap)
    new = assume["responses_at_cap"] * cap + (1 - assume["responses_at_cap"]) * short
    each = characters / assume["characters_per_token"] + assume["chat_template_tokens"]
    return {"prompts": prompts, "prompt_tokens": prompts * each, "new_tokens": prompts * new}


def judge_load(load: dict[str, Any], instructions: int, assume: dict[str, Any]) -> dict[str, Any]:
    """What a judge reads and writes about the responses of a model that was asked `load`.

    Question and response, its `instructions` (characters), and max_new_tokens of `assume` at most.
    """
    reads = load["prompts"] * instructions / assume["characters_per_token"]
    prompt_tokens = load["prompt_tokens"] + load["new_tokens"] + reads
    return {
        "prompts": load["prompts"],
        "prompt_tokens": prompt_tokens,
        "new_tokens": load["prompts"] * assume["max_new_tokens"],
    }


def batch_size(load: dict[str, Any], assume: dict[str, Any]) -> int:
    """Prompts that are decoded together under the token budget."""
    each = load["prompt_tokens"] / max(load["prompts"], 1) + assume["max_new_tokens"]
    return max(1, int(assume["token_budget"] / max(each, 1)))


def memory(model: dict[str, Any], load: dict[str, Any], assume: dict[str, Any]) -> dict[str, Any]:
    """Gigabytes (10^9 bytes): disk, weights, kv (2 x layers x kv_heads x head_dim for each token of the budget), total.

    total adds activations (16 hidden-sized tensors per token of the budget), the logits of one decoding step in
    float32 twice, and 1 GB for the runtime. A shape that is not known (None) counts as 0.
    """
    size = BYTES[assume["dtype"]] or assume["stored_bytes_per_parameter"]
    shape = {name: model.get(name) or 0 for name in ("layers", "kv_heads", "head_dim", "hidden", "vocab")}
    weights = model["params_b"] * QUANTIZED_BYTES.get(assume["quantization"], size)
    kv = 2 * shape["layers"] * shape["kv_heads"] * shape["head_dim"] * size * assume["token_budget"] / GB
    activations = 16 * shape["hidden"] * size * assume["token_budget"] / GB
    logits = 2 * 4 * shape["vocab"] * batch_size(load, assume) / GB
    disk = model["params_b"] * assume["stored_bytes_per_parameter"]
    return {"disk_gb": disk, "weights_gb": weights, "kv_gb": kv, "memory_gb": weights + kv + activations + logits + 1}


def fit(
    model: dict[str, Any], load: dict[str, Any], gpu: dict[str, Any], assume: dict[str, Any]
) -> tuple[int | None, int]:
    """Cards that hold the model, and the token budget then left for a batch.

    The fewest gpus that hold weights and an eighth of the token budget; then the largest of the budget's halves that
    they hold (a job halves its batches when memory runs out).
    A processor is never combined with others: None if the model does not fit.
    """
    budgets = [max(1, assume["token_budget"] // part) for part in (1, 2, 4, 8)]
    needs = [memory(model, load, assume | {"token_budget": budget})["memory_gb"] for budget in budgets]
    usable = gpu["memory_gb"] * assume["usable_memory"]
    gpus = max(1, ceil(needs[-1] / usable))
    if gpu["kind"] == "cpu" and gpus > 1:
        return None, 0
    return gpus, next(budget for budget, need in zip(budgets, needs, strict=True) if need <= gpus * usable)


def hours(model: dict[str, Any], load: dict[str, Any], gpu: dict[str, Any], assume: dict[str, Any]) -> dict[str, Any]:
    """Time on a gpu: gpus, token_budget (both from `fit`), shards, prefill, decode and start-up hours, and sums.

    prefill: 2 x parameters x prompt tokens operations. decode: each step reads the weights and the batch's KV cache;
    it takes the longest of that traffic, its arithmetic, and the launches. Several gpus hold a model's layers one
    after the other (device_map), so they add memory, not speed: gpu_hours are hours x gpus. `hours` is what all
    shards of the model take one after the other. Where the model does not fit, all values are None.
    """
    gpus, budget = fit(model, load, gpu, assume)
    if gpus is None:
        return dict.fromkeys(TIMES)
    assume = assume | {"token_budget": budget}
    need = memory(model, load, assume)
    flops = gpu["bf16_tflops"] * 1e12 * assume["arithmetic_efficiency"]
    full = batch_size(load, assume)
    batch = max(1, min(full, load["prompts"]))
    operations = 2 * model["params_b"] * 1e9
    bandwidth = gpu["bandwidth_gb_s"] * assume["bandwidth_efficiency"]
    traffic = (need["weights_gb"] + need["kv_gb"] * batch / full) / bandwidth
    launch = (model.get("layers") or 0) * assume["launch_ms_per_layer"] / 1000 if gpu["kind"] == "gpu" else 0.0
    prefill = operations * load["prompt_tokens"] / flops / 3600
    decode = load["new_tokens"] / batch * max(traffic, operations * batch / flops, launch) / 3600
    most = assume["hours_per_shard"]
    shards = assume.get("shards") or (1 if most is None else max(1, ceil((prefill + decode) / most)))
    startup = assume["startup_minutes"] / 60 * shards
    total = prefill + decode + startup
    return dict(zip(TIMES, (gpus, budget, shards, prefill, decode, startup, total, total * gpus), strict=True))


def job_resources(
    model: dict[str, Any], load: dict[str, Any], gpu: dict[str, Any], assume: dict[str, Any]
) -> dict[str, Any]:
    """What one inference job (a shard of a model) asks a scheduler for: gpu, mem_mb of the host, runtime in minutes.

    Host memory holds the weights once while they are loaded; runtime is twice the estimate. Where the model does not
    fit on the gpu, gpu is None.
    """
    time = hours(model, load, gpu, assume)
    weights = memory(model, load, assume)["weights_gb"]
    if time["gpus"] is None:
        return {"gpu": None, "mem_mb": None, "runtime": None}
    gpus = time["gpus"] if gpu["kind"] == "gpu" else 0
    return {"gpu": gpus, "mem_mb": ceil(8000 + 1100 * weights), "runtime": ceil(120 * time["hours"] / time["shards"])}


def wall_hours(jobs: list[tuple[float | None, int | None]], gpus: int) -> float | None:
    """Wall clock of jobs (hours, gpus each) on `gpus` gpus, longest job first; None if one of them does not fit."""
    if any(need is None or need > gpus for _, need in jobs):
        return None
    free = [0.0] * gpus
    sized = [(length, need) for length, need in jobs if length is not None and need is not None]
    for length, need in sorted(sized, reverse=True):
        free.sort()
        free[:need] = [free[need - 1] + length] * need
    return max(free, default=0.0)
