"""Decode many prompts at once without computing tokens that no response needs.

Three savings over a plain batched `generate`, largest first. A row that has ended, or whose verdict is certain, leaves
the batch at once. Rows still running are pooled over batches, so that one long response does not keep a batch alive. A
prefix shared by many prompts is computed once. Greedy responses in float32 equal those of one prompt at a time; in
bfloat16 they depend on the batch, so batches are a pure function of the prompts (see `batching`).
"""

import dataclasses
import gc
import inspect
import logging
from collections.abc import Callable, Iterator

import numpy as np
import torch
from transformers.cache_utils import Cache

from falserefusal.common.errors import InputError
from falserefusal.inference import batching
from falserefusal.inference.decoding import Decoding
from falserefusal.inference.rowcache import Block, empty_cache, regroup

log = logging.getLogger(__name__)

DRAIN_STEPS = 16  # steps between two reports of finished rows while no new batch starts
REPORTED = 32  # finished rows are reported once there are as many: what is not reported, an interruption loses


@dataclasses.dataclass
class Finished:
    """A finished row: the tokens of its response without the EOS, and why it ended (stop, length or decided)."""

    row: int
    tokens: list[int]
    reason: str
    new_tokens: int


class Decoder:
    """Generates responses to tokenised prompts with a causal language model.

    Parameters
    ----------
    model
        A transformers causal language model in inference mode.
    eos_ids : list of int
        Tokens that end a response.
    decoding : Decoding
        The decoding parameters.
    batch_tokens : int
        Most tokens of a batch, and of the pool of rows still running. With prefixes and copies, key-value memory holds
        up to about five times as many. When memory runs out, the limit is halved and unfinished rows start again.
    window : int
        Size of a window of prompts, in batches.
    most : int, optional
        Most prompts of a window; an interruption costs as many where a window must be computed again as a whole.
    share : bool
        Whether a prefix shared by prompts is computed once. Needs a model that counts positions by `position_ids`
        (see `split_logits`): between a shared prefix and the rest of a prompt there may be padding.
    """

    def __init__(
        self,
        model,
        eos_ids: list[int],
        decoding: Decoding,
        batch_tokens: int,
        window: int = 16,
        most: int | None = None,
        share: bool = True,
    ):
        self.model, self.decoding, self.batch_tokens, self.window = model, decoding, batch_tokens, window
        self.most, self.share = most, share
        self.eos = frozenset(eos_ids)
        self.device = model.get_input_embeddings().weight.device
        config = model.config.get_text_config()
        other = sorted(set(getattr(config, "layer_types", None) or []) - {"full_attention", "sliding_attention"})
        if other or getattr(model, "_is_stateful", False):
            raise InputError(
                f"{type(model).__name__} has {', '.join(other) or 'stateful'} layers, which do not use a plain "
                "key-value cache: set inference.backend: vllm, or run the model on a server (docs/how-to/servers.md)"
            )
        self.layers = config.num_hidden_layers
        self.sliding = getattr(config, "sliding_window", None) or float("inf")
        self.budget = batch_tokens  # falls when memory runs out
        self.forwards = self.prefill_tokens = self.decode_tokens = 0

    def run(
        self,
        prompts: list[list[int]],
        settled: Callable[[int, list[int]], bool] | None = None,
        seeds: list[int] | None = None,
        spent: Callable[[int, list[int]], bool] | None = None,
    ) -> Iterator[tuple[list[int], list[Finished]]]:
        """Yield (window, finished rows) as rows end; all rows of a window end before the next window starts.

        Parameters
        ----------
        prompts : list of list of int
            Token ids of each prompt.
        settled : callable, optional
            settled(row, new tokens) is called after each token; True ends the row.
        seeds : list of int, optional
            Seed of each row's own random numbers, so that a sampled response does not depend on its neighbours.
        spent : callable, optional
            spent(row, new tokens) is called after each token; True means that the row has as many as it may have. None:
            max_new_tokens.
        """
        self.prompts, self.settled = prompts, settled
        self.spent = spent or (lambda _, tokens: len(tokens) >= self.decoding.max_new_tokens)
        self.random = {} if seeds is None else {i: np.random.default_rng(seed) for i, seed in enumerate(seeds)}
        self.seeds = seeds
        for window in batching.windows(prompts, self.window * self.batch_tokens, self.most):
            for finished in self._window(window):
                yield window, finished

    def fits_window(self, longest: int) -> bool:
        """Whether prompts up to this length may share a prefix: the padding after it counts in a sliding window."""
        return 2 * longest + self.decoding.max_new_tokens <= self.sliding

    def _window(self, window: list[int]) -> Iterator[list[Finished]]:
        left = dict.fromkeys(window)
        while left:
            try:
                for finished in self._attempt(list(left)):
                    for one in finished:
                        del left[one.row]
                    yield finished
                return
            except Exception as error:
                if not out_of_memory(error):
                    raise
            # outside the except block, because an active exception keeps the tensors of its frames alive
            self._back_off(max(len(self.prompts[i]) for i in left))
            if self.seeds is not None:  # unfinished rows start again with the same random numbers
                self.random |= {i: np.random.default_rng(self.seeds[i]) for i in left}

    def _back_off(self, longest: int) -> None:
        if self.budget <= longest:
            raise InputError(
                f"a single prompt of {longest} tokens does not fit into the memory next to the weights; "
                "use a smaller dtype, quantization, or a device with more memory"
            )
        self.budget //= 2
        log.warning("out of memory: continuing with batches of at most %d tokens", self.budget)
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    @torch.inference_mode()
    def _attempt(self, rows: list[int]) -> Iterator[list[Finished]]:
        """Decode all of `rows`, which are in lexicographic order of their tokens."""
        self.unfinished: dict[int, list[int]] = {i: [] for i in rows}
        groups = []
        if self.share and self.fits_window(max(len(self.prompts[i]) for i in rows)):
            groups = batching.shared_prefixes([self.prompts[i] for i in rows], self.budget)
        prefix, slot = [0] * len(rows), [-1] * len(rows)
        for number, (length, members) in enumerate(groups):
            for place in members:
                prefix[place], slot[place] = length, number if length else -1
        heads = self._prefixes([self.prompts[rows[members[0]]][:length] for length, members in groups if length])
        suffix = [len(self.prompts[i]) - p for i, p in zip(rows, prefix, strict=True)]
        pool: Block | None = None
        waiting: list[tuple[Block, list[int]]] = []  # joined to the pool together, because each join copies the pool
        for batch in batching.batches(prefix, suffix, self.budget):
            of = [(rows[i], prefix[i], slot[i]) for i in batch]
            block = self._prefill(*map(list, zip(*of, strict=True)), heads)
            finished, alive = self._settle(block)
            if alive:
                waiting.append((block, alive))
            del block
            running = sum(len(alive) * block.width for block, alive in waiting) + (pool.tokens if pool else 0)
            if running > self.budget // 2 or sum(block.tokens for block, _ in waiting) > self.budget:
                pool, waiting = self._joined(pool, waiting), []
            while pool is not None and pool.tokens > self.budget // 2:
                ended, pool = self._step(pool)
                finished += ended
                if len(finished) >= REPORTED:
                    yield finished
                    finished = []
            if finished:
                yield finished
        pool = self._joined(pool, waiting)
        del waiting
        while pool is not None:
            finished, steps = [], 0
            while pool is not None and steps < DRAIN_STEPS and len(finished) < REPORTED:
                ended, pool = self._step(pool)
                finished += ended
                steps += 1
            if finished:
                yield finished

    def _forward(self, **inputs) -> torch.Tensor:
        self.forwards += 1
        return self.model(**inputs, use_cache=True, logits_to_keep=1).logits[:, -1]

    def _prefixes(self, heads: list[list[int]]) -> tuple[Cache, torch.Tensor] | None:
        """Keys and values of each shared prefix, right-aligned, one row each; and a mask of their real columns."""
        if not heads:
            return None
        width = max(map(len, heads))
        shared = empty_cache(self.layers, width)
        shared_mask = torch.zeros(len(heads), width, dtype=torch.bool, device=self.device)
        for part in batching.batches([0] * len(heads), [len(head) for head in heads], self.budget):
            tokens = [heads[i] for i in part]
            own = max(map(len, tokens))
            ids, mask, position = _right_aligned(tokens, [0] * len(part), own, self.device)
            cache = empty_cache(self.layers, own)
            self._forward(input_ids=ids, attention_mask=mask, position_ids=position, past_key_values=cache)
            self.prefill_tokens += sum(map(len, tokens))
            place = torch.tensor(part, device=self.device)
            shared_mask[place, width - own :] = mask
            for layer, source in zip(shared.layers, cache.layers, strict=True):
                if not layer.is_initialized:
                    layer.allocate(len(heads), source.keys, source.values)
                    layer.length = width
                at = place.to(source.keys.device)
                for whole, some in ((layer.keys, source.keys), (layer.values, source.values)):
                    whole[at, :, : width - own] = 0  # never attended to, but NaN x 0 would not be 0
                    whole[at, :, width - own :] = some
        return shared, shared_mask

    def _prefill(self, rows: list[int], prefix: list[int], slot: list[int], heads) -> Block:
        tails = [self.prompts[i][p:] for i, p in zip(rows, prefix, strict=True)]
        wide, width = max(prefix), max(map(len, tails))
        ids, mask, position = _right_aligned(tails, prefix, width, self.device)
        cache = empty_cache(self.layers, wide + width)
        if wide:
            shared, shared_mask = heads
            index = torch.tensor([max(s, 0) for s in slot], device=self.device)
            has = torch.tensor([s >= 0 for s in slot], device=self.device)
            for layer, source in zip(cache.layers, shared.layers, strict=True):
                at = index.to(source.keys.device)
                keys, values = source.keys[:, :, -wide:], source.values[:, :, -wide:]
                layer.allocate(len(rows), keys, values)
                torch.index_select(keys, 0, at, out=layer.keys[:, :, :wide])
                torch.index_select(values, 0, at, out=layer.values[:, :, :wide])
                layer.length = wide
            mask = torch.cat([shared_mask.index_select(0, index)[:, -wide:] & has[:, None], mask], dim=1)
        logits = self._forward(input_ids=ids, attention_mask=mask, position_ids=position, past_key_values=cache)
        self.prefill_tokens += sum(map(len, tails))
        position = torch.tensor([len(self.prompts[i]) for i in rows], device=self.device)
        return Block(list(rows), cache, mask, position, self._choose(logits, rows))

    def _step(self, pool: Block) -> tuple[list[Finished], Block | None]:
        """One token for every row of the pool; ended rows leave once they are a quarter of it."""
        if pool.full:
            pool = regroup([(pool, self._running(pool))])
        logits = self._forward(
            input_ids=pool.token[:, None],
            attention_mask=pool.mask[:, : pool.width + 1],
            position_ids=pool.position[:, None],
            past_key_values=pool.cache,
        )
        self.decode_tokens += len(pool.rows)
        pool.token = self._choose(logits, pool.rows)
        pool.position = pool.position + 1
        finished, alive = self._settle(pool)
        if not alive:
            return finished, None
        if len(alive) <= 0.75 * len(pool.rows):
            pool = regroup([(pool, alive)])
        return finished, pool

    def _joined(self, pool: Block | None, waiting: list[tuple[Block, list[int]]]) -> Block | None:
        """The pool together with the rows of `waiting` (blocks and positions of rows)."""
        if not waiting:
            return pool
        return regroup(waiting if pool is None else [(pool, self._running(pool)), *waiting])

    def _running(self, block: Block) -> list[int]:
        return [place for place, row in enumerate(block.rows) if row in self.unfinished]

    def _settle(self, block: Block) -> tuple[list[Finished], list[int]]:
        """Append each row's newest token; return the finished rows and the positions of the others."""
        finished, alive = [], []
        for place, (row, token) in enumerate(zip(block.rows, block.token.tolist(), strict=True)):
            tokens = self.unfinished.get(row)
            if tokens is None:  # ended earlier, still in the block
                continue
            if token in self.eos:
                finished.append(Finished(row, tokens, "stop", len(tokens) + 1))
            else:
                tokens.append(token)
                if self.spent(row, tokens):
                    finished.append(Finished(row, tokens, "length", len(tokens)))
                elif self.settled is not None and self.settled(row, tokens):
                    finished.append(Finished(row, tokens, "decided", len(tokens)))
                else:
                    alive.append(place)
                    continue
            del self.unfinished[row]
        return finished, alive

    def _choose(self, logits: torch.Tensor, rows: list[int]) -> torch.Tensor:
        """The next token of each row: the most probable, or sampled from the nucleus with the row's random numbers."""
        if self.decoding.temperature == 0:
            return logits.argmax(-1).to(self.device)
        logits = logits.float() / self.decoding.temperature
        p, order = logits.softmax(-1).sort(dim=-1, descending=True, stable=True)
        cumulative = p.cumsum(-1)
        p = p.masked_fill(cumulative - p >= self.decoding.top_p, 0.0)
        cumulative = p.cumsum(-1)
        draw = torch.tensor([self.random[i].random() for i in rows], device=logits.device)
        place = (cumulative <= (draw * cumulative[:, -1])[:, None]).sum(-1, keepdim=True)
        return order.gather(-1, place.clamp(max=logits.shape[-1] - 1))[:, 0].to(self.device)


def _right_aligned(rows: list[list[int]], first: list[int], width: int, device):
    """Ids, attention mask and positions of `rows` padded on the left; row i's first token has position first[i]."""
    ids = np.zeros((len(rows), width), np.int64)
    mask = np.zeros((len(rows), width), bool)
    position = np.zeros((len(rows), width), np.int64)
    for i, row in enumerate(rows):
        ids[i, width - len(row) :] = row
        mask[i, width - len(row) :] = True
        position[i, width - len(row) :] = np.arange(first[i], first[i] + len(row))
    return tuple(torch.from_numpy(array).to(device) for array in (ids, mask, position))


def out_of_memory(error: Exception) -> bool:
    """Whether an exception means that the accelerator or the machine ran out of memory."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and any(
        sign in text for sign in ("out of memory", "allocate memory", "ALLOC_FAILED")
    )


@torch.inference_mode()
def first_logits(model, prompts: list[list[int]]) -> torch.Tensor:
    """Logits [prompts, vocabulary] of each prompt's first new token, from one left-padded batch, in float32 on CPU."""
    device = model.get_input_embeddings().weight.device
    ids, mask, position = _right_aligned(prompts, [0] * len(prompts), max(map(len, prompts)), device)
    logits = model(input_ids=ids, attention_mask=mask, position_ids=position, use_cache=False, logits_to_keep=1).logits
    return logits[:, -1].float().cpu()


def takes_positions(model) -> bool:
    """Whether a model reads `position_ids`; others count positions over columns, padding included."""
    return "position_ids" in inspect.signature(type(model).forward).parameters


@torch.inference_mode()
def split_logits(model, prompt: list[int]) -> torch.Tensor:
    """Logits [1, vocabulary] after a prompt whose first half is in the cache, far from the rest, in float32 on CPU.

    They differ from those of the prompt in one piece where the model counts the padding between the halves (as ALiBi
    over columns does) or does not read the cache rightly.
    """
    device = model.get_input_embeddings().weight.device
    head, tail, gap = prompt[: len(prompt) // 2], prompt[len(prompt) // 2 :], len(prompt)
    cache = empty_cache(model.config.get_text_config().num_hidden_layers, gap + len(prompt))
    ids, mask, position = _right_aligned([[*head, *[0] * gap], tail], [0, len(head)], len(head) + gap, device)
    mask[:, len(head) :] = False
    if head:
        inputs = {"attention_mask": mask[:1], "position_ids": position[:1]}
        model(input_ids=ids[:1], past_key_values=cache, use_cache=True, logits_to_keep=1, **inputs)
    whole = torch.cat([mask[:1], torch.ones(1, len(tail), dtype=torch.bool, device=device)], dim=1)
    inputs = {"attention_mask": whole, "position_ids": position[1:, -len(tail) :]}
    out = model(input_ids=ids[1:, -len(tail) :], past_key_values=cache, use_cache=True, logits_to_keep=1, **inputs)
    return out.logits[:, -1].float().cpu()
