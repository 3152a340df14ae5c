"""The transformers backend: a checkpoint on this machine, asked through its own chat template."""

import functools
import logging
import re
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from falserefusal.common.errors import InputError
from falserefusal.inference import checkpoint as checkpoints
from falserefusal.inference.chat import FIXED_DATE, examine
from falserefusal.inference.decoding import Decoding
from falserefusal.inference.store import NO_BATCH, NOTHING, Answer, batch_name

log = logging.getLogger(__name__)

# How far the logits of a prompt alone and in a padded batch may lie apart, as a share of their range
TOLERANCE = {"float32": 1e-4, "bfloat16": 0.05, "float16": 0.01}
SELF_TEST_TOKENS, SELF_TEST_ROWS = 8, 5


class LocalEngine:
    """One checkpoint. The tokenizer is loaded at once, the weights only when an answer is missing.

    `model` holds what `checkpoint.locate` reads, and `system_role` (see `Chat`), `batch_tokens` (tokens of a padded
    batch), `device_map` (auto: all accelerators) and `threads` (of the CPU).
    """

    def __init__(self, model: dict, decoding: Decoding):
        self.decoding = decoding
        self.batch_tokens = int(model.get("batch_tokens") or 16384)
        self.device_map = model.get("device_map", "auto")
        self.threads = model.get("threads")
        self.checkpoint = checkpoints.locate(model)
        self.identity = self.checkpoint.identity
        self.config, self.generation_config = checkpoints.load_configs(self.checkpoint)
        quantized = self.checkpoint.quantization or getattr(self.config, "quantization_config", None)
        # other answers than those in full float32 depend on the batch: one that was cut short is computed again whole
        self.repeats_batches = self.checkpoint.dtype != "float32" or bool(quantized)
        self.tolerance = max(TOLERANCE[self.checkpoint.dtype], TOLERANCE["bfloat16"] if quantized else 0)
        eos = self.generation_config.get("eos_token_id", getattr(self.config, "eos_token_id", None))
        eos = [] if eos is None else eos if isinstance(eos, list) else [eos]
        tokenizer = checkpoints.load_tokenizer(self.checkpoint)
        try:
            self.chat = examine(tokenizer, eos, model.get("system_role") or "native")
        except InputError as error:
            raise InputError(f"model {model['model']}: {error}") from error
        self.about: dict = dict.fromkeys(("device", "attention", "self_test", "timing", "work"), NOTHING)

    def render(self, conversations: list[list[dict]], names: list[str]) -> list[str]:
        """Rendered prompts, checked."""
        obeyed = self.chat.holding_control_tokens(conversations)
        if obeyed:
            count, example = len(obeyed), names[obeyed[0]]
            log.warning("%d prompt(s) hold a control token of this model in their own text, as %s does", count, example)
        self.about["prompts_with_control_tokens"] = len(obeyed)
        return self.chat.render(conversations, names)

    def prepare(self, prompts: list[str], names: list[str]) -> list[int]:
        """Tokenise the prompts that `answer` will be asked, check that they fit; their lengths in tokens."""
        self.ids = self.chat.encode(prompts, names, self._context(), self.decoding.max_new_tokens)
        return [len(row) for row in self.ids]

    def answer(
        self, keys: list[str], decided: Callable[[str], bool] | None, whole: list[bool]
    ) -> Iterator[tuple[str, dict[int, Answer]]]:
        """Yield (batch name, answers by index into the prepared prompts) as rows end; `whole` ones never stop early.

        The first report is empty: the weights are loaded, and work begins.
        """
        from falserefusal.inference.decode import out_of_memory

        ids = self.ids
        started = time.monotonic()
        try:
            decoder = self._decoder()
            loaded = time.monotonic()
            self.about["self_test"] = self._self_test(decoder, ids)
        except Exception as error:
            if not out_of_memory(error):
                raise
            raise InputError(
                f"{self.identity['name']}: the memory does not hold its weights and a few prompts; "
                "use a smaller dtype, quantization, or a device with more memory"
            ) from error
        yield NO_BATCH, {}
        text_of = functools.partial(
            self.chat.tokenizer.decode, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )

        @functools.lru_cache(maxsize=2**16)  # most answers start with the same few tokens
        def verdict_settled(tokens: tuple[int, ...]) -> bool:
            return decided(text_of(list(tokens)).rstrip("\ufffd"))  # half a character may yet become a whole one

        def settled(row: int, tokens: list[int]) -> bool:
            return not whole[row] and verdict_settled(tuple(tokens))

        seeds = None if self.decoding.temperature == 0 else [int(key[:16], 16) for key in keys]
        name, last = NO_BATCH, None
        for window, finished in decoder.run(ids, settled if decided else None, seeds):
            if self.repeats_batches and window is not last:
                name, last = batch_name([keys[i] for i in window]), window
            yield (
                name,
                {
                    one.row: Answer(text_of(one.tokens), one.reason, len(ids[one.row]), one.new_tokens)
                    for one in finished
                },
            )
        self.about["timing"] = {"load_s": loaded - started, "generate_s": time.monotonic() - loaded}
        self.about["work"] = {
            "prompt_tokens": sum(map(len, ids)),
            "prefilled_tokens": decoder.prefill_tokens,
            "decoded_rows_x_steps": decoder.decode_tokens,
            "forward_passes": decoder.forwards,
            "batch_tokens_at_end": decoder.budget,
        }

    def provenance(self) -> dict:
        chat = self.chat
        ignored = {k: v for k, v in self.generation_config.items() if k not in ("eos_token_id", "transformers_version")}
        return {
            "backend": "transformers",
            **self.identity,
            "folder": str(self.checkpoint.folder),
            "parameters": self._parameters(),
            "source": checkpoints.source_of(self.checkpoint.folder),
            "architecture": (self.config.architectures or [None])[0],
            "gate": {
                "system_turn": chat.system,
                "system_role": chat.policy,
                "bos": chat.bos,
                "eos_ids": chat.eos_ids,
                "eos_tokens": chat.tokenizer.convert_ids_to_tokens(chat.eos_ids),
                "context": self._context(),
                "pad_token": chat.tokenizer.pad_token,
                "template_sha256": chat.template_sha256,
                "preamble": chat.preamble,
                "template_date": FIXED_DATE if "strftime_now" in chat.tokenizer.chat_template else None,
            },
            "ignored_generation_config": ignored,
            "batches": {"batch_tokens": self.batch_tokens, "plan": "by shared prefix, longest first"},
            **self.about,
        }

    def _parameters(self) -> int:
        """The number of weights that are stored, from the headers of the files; tied ones count once."""
        return checkpoints.stored_parameters(self.checkpoint.folder)

    def _context(self) -> int:
        limits = [getattr(self.config.get_text_config(), "max_position_embeddings", None)]
        limits.append(self.chat.tokenizer.model_max_length)
        return min(int(limit) for limit in limits if limit)

    def _decoder(self):
        import torch

        from falserefusal.inference.decode import Decoder

        if self.threads:
            torch.set_num_threads(int(self.threads))
        model = checkpoints.load_model(self.checkpoint, self.device_map)
        device = next(model.parameters()).device
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
        spread = {part: str(place) for part, place in (getattr(model, "hf_device_map", None) or {}).items()}
        slow = sorted(part for part, place in spread.items() if place in ("cpu", "disk"))
        if 0 < len(slow) < len(spread):
            log.warning(
                "%s does not fit the accelerators: %d of its %d parts lie on cpu or disk, which is many times slower",
                self.identity["name"],
                len(slow),
                len(spread),
            )
        self.about["device"] = {"name": name, "threads": torch.get_num_threads(), "map": spread or None}
        self.about["attention"] = getattr(model.config, "_attn_implementation", None)
        return Decoder(model, self.chat.eos_ids, self.decoding, self.batch_tokens)

    def _self_test(self, decoder, ids: list[list[int]]) -> dict:
        """Prompts of different lengths, most with a shared beginning: alone and together, the same greedy answers?

        The shortest and the longest prompt are there, whose logits are compared too.
        """
        from falserefusal.inference.decode import Decoder, first_logits

        pair = [min(ids, key=len), max(ids, key=len)]
        greedy = Decoding(max_new_tokens=min(SELF_TEST_TOKENS, self.decoding.max_new_tokens))
        test = Decoder(decoder.model, self.chat.eos_ids, greedy, self.batch_tokens)
        rows = [pair[0], *_sharing_a_beginning(pair[1])]
        alone = [_tokens(test, [prompt])[0] for prompt in rows]
        same = alone == _tokens(test, rows)
        single = [first_logits(decoder.model, [prompt])[0] for prompt in pair]
        both = first_logits(decoder.model, pair)
        apart = max(float((a - b).abs().max() / (a.max() - a.min())) for a, b in zip(single, both, strict=True))
        limit = self.tolerance
        if not apart <= limit or (not self.repeats_batches and not same):
            raise InputError(
                f"{self.identity['name']}: self-test failed: a prompt alone and the same prompt in a padded batch, "
                f"with its beginning computed once for several, differ (logits by {apart:.2g} of their range, {limit} "
                f"allowed; greedy answers {'agree' if same else 'differ'})"
            )
        return {"greedy_answers_agree": same, "logit_difference": float(f"{apart:.3g}"), "tolerance": limit}


def _sharing_a_beginning(prompt: list[int]) -> list[list[int]]:
    """The prompt, and copies of it that lack more and more of what follows its first half; enough to share a prefix."""
    half = len(prompt) // 2
    step = max(1, (len(prompt) - half) // SELF_TEST_ROWS)
    starts = range(half, len(prompt), step)[:SELF_TEST_ROWS]
    return [prompt[:half] + prompt[start:] for start in starts]


def _tokens(decoder, prompts: list[list[int]]) -> list[list[int]]:
    out = {one.row: one.tokens for _, finished in decoder.run(prompts) for one in finished}
    return [out[i] for i in range(len(prompts))]


def peak_memory() -> dict:
    """Peak memory of this process in MiB, on the host and on the accelerators."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss would count the process that started this one, too
        kib = re.search(r"VmHWM:\s+(\d+)", status.read_text())[1]
    else:
        kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak = {"host_mib": int(kib) // 1024}
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        devices = range(torch.cuda.device_count())
        peak["accelerator_mib"] = sum(torch.cuda.max_memory_allocated(i) for i in devices) // 2**20
    return peak
