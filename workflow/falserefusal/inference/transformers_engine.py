"""Engine for a checkpoint on this machine, run with transformers and prompted through its own chat template."""

import dataclasses
import logging
import time
from collections.abc import Callable, Iterator

from falserefusal.common.errors import InputError
from falserefusal.common.roofline import BATCH_TOKENS
from falserefusal.inference import checkpoint as checkpoints
from falserefusal.inference.checkpoint_engine import CheckpointEngine
from falserefusal.inference.decoding import Decoding
from falserefusal.inference.devices import cpu_has_bfloat16
from falserefusal.inference.engine import register
from falserefusal.inference.store import NO_BATCH, NOTHING, Response, batch_name

log = logging.getLogger(__name__)

# Largest difference of a prompt's logits alone and in a padded batch, as a share of their range
TOLERANCE = {"float32": 1e-4, "bfloat16": 0.05, "float16": 0.01}
SELF_TEST_TOKENS, SELF_TEST_ROWS = 8, 5
REPEATED = 64  # prompts of a window that an interruption makes the engine compute again


@register("transformers")
class TransformersEngine(CheckpointEngine):
    """Engine for one checkpoint. Loads the tokenizer at once, the weights only when a response is missing.

    Parameters
    ----------
    model : dict
        What `CheckpointEngine` reads, `batch_tokens` (tokens of a padded batch; None: `planned_batch_tokens` of the
        cost estimate) and `device_map` (auto: all accelerators).
    decoding : Decoding
        The decoding parameters.
    """

    packages = ("torch", "transformers", "tokenizers", "accelerate", "bitsandbytes")

    def __init__(self, model: dict, decoding: Decoding):
        super().__init__(model, decoding)
        self.batch_tokens = model["batch_tokens"] or model.get("planned_batch_tokens") or BATCH_TOKENS
        self.batch_tokens_from = "inference.batch_tokens" if model["batch_tokens"] else "cost estimate"
        self.device_map = model["device_map"]
        self.repeats_batches = self.depends_on_batch
        self.keeps_batch_tokens = self.repeats_batches and not model["batch_tokens"]
        self.tolerance = max(TOLERANCE[self.checkpoint.dtype], TOLERANCE["bfloat16"] if self.quantized else 0)
        self.decoder = None  # once the model is loaded and tested
        self.about = dict.fromkeys(("device", "attention", "self_test", "timing", "work"), NOTHING)

    def generate(
        self, keys: list[str], decided: Callable[[str], bool] | None, in_full: list[bool]
    ) -> Iterator[tuple[str, dict[int, Response]]]:
        """Load the weights, test the model on a few prompts, and yield responses window by window."""
        ids = self.ids
        started = time.monotonic()
        if self.decoder is None:
            self.decoder = self._tested_decoder(ids)
        decoder, loaded = self.decoder, time.monotonic()
        yield NO_BATCH, {}
        seeds = None if self.decoding.temperature == 0 else [int(key[:16], 16) for key in keys]
        name, last = NO_BATCH, None
        ending = self.ending(decided, in_full)
        for window, finished in decoder.run(ids, ending.settled, seeds, ending.spent):
            if self.repeats_batches and window is not last:
                name, last = batch_name([keys[i] for i in window]), window
            yield name, {one.row: self.response(**dataclasses.asdict(one)) for one in finished}
        self.about["timing"] = {"load_s": loaded - started, "generate_s": time.monotonic() - loaded}
        self.about["work"] = {
            "prompt_tokens": sum(map(len, ids)),
            "prefilled_tokens": decoder.prefill_tokens,
            "decoded_rows_x_steps": decoder.decode_tokens,
            "forward_passes": decoder.forwards,
            "batch_tokens_at_end": decoder.budget,
        }

    def _tested_decoder(self, ids: list[list[int]]):
        """The decoder of the loaded model, after its self-test on some of the prompts."""
        from falserefusal.inference.decode import out_of_memory

        try:
            decoder = self._loaded_decoder()
            self.about["self_test"] = self._shares_beginnings(decoder, ids) | self._self_test(decoder, ids)
        except Exception as error:
            if not out_of_memory(error):
                raise
            raise InputError(
                f"{self.identity['name']}: the weights and a few prompts do not fit into the memory; "
                "use a smaller dtype, quantization, or a device with more memory"
            ) from error
        return decoder

    def close(self) -> None:
        """Free the memory of the model."""
        self.decoder = None

    def provenance(self) -> dict:
        """Return the record of `CheckpointEngine`, and how batches were formed."""
        size = {"batch_tokens": self.batch_tokens, "batch_tokens_from": self.batch_tokens_from}
        return super().provenance() | {"batches": {**size, "plan": "by shared prefix, longest first"}}

    def _loaded_decoder(self):
        import torch

        from falserefusal.inference.decode import Decoder

        if self.threads:
            torch.set_num_threads(self.threads)
        model = checkpoints.load_model(self.checkpoint, self.device_map)
        device = next(model.parameters()).device
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
        spread = {part: str(place) for part, place in (getattr(model, "hf_device_map", None) or {}).items()}
        slow = sorted(part for part, place in spread.items() if place in ("cpu", "disk"))
        if 0 < len(slow) < len(spread):
            log.warning(
                "%s does not fit the accelerators: %d of its %d parts are on cpu or disk, which is many times slower",
                self.identity["name"],
                len(slow),
                len(spread),
            )
        if device.type == "cpu" and self.checkpoint.dtype == "float32" and cpu_has_bfloat16():
            log.info("this processor computes bfloat16 about twice as fast as float32 (inference.dtype: bfloat16)")
        self.about["device"] = {"name": name, "threads": torch.get_num_threads(), "map": spread or None}
        self.about["attention"] = getattr(model.config, "_attn_implementation", None)
        decoding = dataclasses.replace(self.decoding, max_new_tokens=self.longest)
        most = REPEATED if self.repeats_batches else None
        return Decoder(model, self.chat.eos_ids, decoding, self.batch_tokens, most=most)

    def _shares_beginnings(self, decoder, ids: list[list[int]]) -> dict:
        """Compute shared beginnings once only if this changes no logits of the longest prompt; for the provenance."""
        from falserefusal.inference.decode import first_logits, split_logits, takes_positions

        model, prompt = decoder.model, max(ids, key=len)
        if decoder.fits_window(len(prompt)):
            decoder.share = takes_positions(model) and (
                difference(first_logits(model, [prompt])[0], split_logits(model, prompt)[0]) <= self.tolerance
            )
        if not decoder.share:
            log.info(
                "%s: counts positions over padding, so beginnings that prompts share are computed for each",
                self.identity["name"],
            )
        return {"shared_beginnings": decoder.share}

    def _self_test(self, decoder, ids: list[list[int]]) -> dict:
        """Check that prompts get the same greedy responses alone and in a padded batch with a shared prefix.

        Prompts have different lengths; most share a beginning. Logits of the shortest and the longest prompt are
        compared, too.
        """
        from falserefusal.inference.decode import Decoder, first_logits

        pair = [min(ids, key=len), max(ids, key=len)]
        short = min(SELF_TEST_TOKENS, self.decoding.max_new_tokens)
        greedy = dataclasses.replace(self.decoding, max_new_tokens=short, temperature=0.0)
        test = Decoder(decoder.model, self.chat.eos_ids, greedy, self.batch_tokens, share=decoder.share)
        rows = [pair[0], *_sharing_a_beginning(pair[1])]
        alone = [_tokens(test, [prompt])[0] for prompt in rows]
        same = alone == _tokens(test, rows)
        single = [first_logits(decoder.model, [prompt])[0] for prompt in pair]
        both = first_logits(decoder.model, pair)
        apart = max(difference(a, b) for a, b in zip(single, both, strict=True))
        limit = self.tolerance
        if not apart <= limit or (not self.repeats_batches and not same):
            raise InputError(
                f"{self.identity['name']}: self-test failed: the model computes different results for a prompt alone "
                f"and in a batch (logits differ by {apart:.2g} of their range, {limit} allowed; greedy responses "
                f"{'agree' if same else 'differ'}); try inference.backend: vllm, or a server"
            )
        return {"greedy_responses_agree": same, "logit_difference": float(f"{apart:.3g}"), "tolerance": limit}


def difference(one, other) -> float:
    """Largest difference of two rows of logits, as a share of the range of the first."""
    return float((one - other).abs().max() / (one.max() - one.min()))


def _sharing_a_beginning(prompt: list[int]) -> list[list[int]]:
    """The prompt, and copies that lack an increasing part of its second half: enough of them to share a prefix."""
    half = len(prompt) // 2
    step = max(1, (len(prompt) - half) // SELF_TEST_ROWS)
    starts = range(half, len(prompt), step)[:SELF_TEST_ROWS]
    return [prompt[:half] + prompt[start:] for start in starts]


def _tokens(decoder, prompts: list[list[int]]) -> list[list[int]]:
    out = {one.row: one.tokens for _, finished in decoder.run(prompts) for one in finished}
    return [out[i] for i in range(len(prompts))]
