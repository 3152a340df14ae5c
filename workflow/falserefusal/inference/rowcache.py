"""Preallocated key-value cache whose rows can leave, join and share prefixes; a step writes one column.

The caches of transformers grow by concatenation (a copy of everything at each token) and keep finished rows. Here a
block holds the rows that are being decoded; `regroup` drops, trims and merges rows in one copy.
"""

import dataclasses

import torch
from transformers.cache_utils import Cache, DynamicLayer

ROOM = 32  # columns allocated ahead of decoding


class RowLayer(DynamicLayer):
    """Keys and values of one layer, [rows, heads, capacity, head size], the first `length` columns in use."""

    def __init__(self, capacity: int):
        super().__init__()
        self.capacity, self.length = capacity, 0

    def allocate(self, rows: int, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Allocate `rows` rows with the heads, head size, dtype and device of `keys` and `values`."""
        self.keys = keys.new_empty(rows, keys.shape[1], self.capacity, keys.shape[3])
        self.values = values.new_empty(rows, values.shape[1], self.capacity, values.shape[3])
        self.dtype, self.device, self.is_initialized = keys.dtype, keys.device, True

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        self.allocate(key_states.shape[0], key_states, value_states)

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *args, **kwargs):
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start, self.length = self.length, self.length + key_states.shape[-2]
        self.keys[:, :, start : self.length] = key_states
        self.values[:, :, start : self.length] = value_states
        return self.keys[:, :, : self.length], self.values[:, :, : self.length]

    def get_seq_length(self) -> int:
        return self.length


@dataclasses.dataclass
class Block:
    """Rows that are decoded together, right-aligned: the next token of every row goes to the same column."""

    rows: list[int]  # indices of the prompts
    cache: Cache
    mask: torch.Tensor  # [rows, capacity] bool: columns that a row attends to, and columns not written yet
    position: torch.Tensor  # [rows] position of the next token
    token: torch.Tensor  # [rows] the newest token, not yet in the cache

    @property
    def width(self) -> int:
        return self.cache.layers[0].length

    @property
    def tokens(self) -> int:
        return len(self.rows) * self.width

    @property
    def full(self) -> bool:
        return self.width == self.mask.shape[1]


def empty_cache(layers: int, capacity: int) -> Cache:
    return Cache(layers=[RowLayer(capacity) for _ in range(layers)])


def regroup(parts: list[tuple[Block, list[int]]]) -> Block:
    """One block of the listed rows (by position) of several blocks, without columns that none of them uses."""
    cuts = []  # per part: the kept rows, first used column, width
    for block, keep in parts:
        index = torch.tensor(keep, device=block.mask.device)
        mask = block.mask.index_select(0, index)[:, : block.width]
        first = int(mask.any(0).int().argmax())
        cuts.append((block, index, mask, first, block.width - first))
    width, rows = max(cut[-1] for cut in cuts), sum(len(cut[1]) for cut in cuts)
    cache = empty_cache(len(parts[0][0].cache.layers), width + ROOM)
    for number, layer in enumerate(cache.layers):
        old = cuts[0][0].cache.layers[number]
        layer.allocate(rows, old.keys, old.values)
        layer.length = width
        for name in ("keys", "values"):
            buffer, start = getattr(layer, name), 0
            for block, index, _, first, size in cuts:
                source = getattr(block.cache.layers[number], name)
                stop, index = start + len(index), index.to(source.device)
                buffer[start:stop, :, : width - size] = 0  # never attended to, but NaN x 0 would not be 0
                torch.index_select(
                    source[:, :, first : first + size], 0, index, out=buffer[start:stop, :, width - size : width]
                )
                start = stop
    full_mask = torch.ones(rows, width + ROOM, dtype=torch.bool, device=cuts[0][2].device)
    start = 0
    for _, index, mask, first, size in cuts:
        full_mask[start : start + len(index), : width - size] = False
        full_mask[start : start + len(index), width - size : width] = mask[:, first:]
        start += len(index)
    return Block(
        rows=[block.rows[i] for block, keep in parts for i in keep],
        cache=cache,
        mask=full_mask,
        position=torch.cat([block.position[index] for block, index, *_ in cuts]),
        token=torch.cat([block.token[index] for block, index, *_ in cuts]),
    )
