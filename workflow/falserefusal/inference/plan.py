"""What is computed together: a pure function of the tokenised prompts and the token budget.

Prompts are sorted by their tokens, so that prompts with a common beginning (chat header, template, persona) are
neighbours, and cut into windows; a window is cut into batches, longest first. Cutting is sequential: when a killed run
is resumed and the windows it finished are left out, the remaining windows come out as they would have been, which is
what makes bf16 answers repeat (they depend on the batch they were computed in).
"""

from collections.abc import Sequence

Tokens = Sequence[int]
MIN_GROUP = 4  # rows that must share a prefix before it is worth computing on its own
MIN_SAVING = 0.1  # share of a window's tokens that prefix reuse must save to be worth its bookkeeping


def windows(prompts: list[Tokens], tokens: int) -> list[list[int]]:
    """Indices of `prompts` in lexicographic order of their tokens, cut into windows of at most `tokens` tokens."""
    out: list[list[int]] = []
    room = 0
    for i in sorted(range(len(prompts)), key=lambda i: (prompts[i], i)):
        if len(prompts[i]) > room or not out:
            out.append([])
            room = max(tokens, len(prompts[i]))
        out[-1].append(i)
        room -= len(prompts[i])
    return out


def shared_prefixes(prompts: list[Tokens], budget: int) -> list[tuple[int, int]]:
    """The prefixes worth computing once: (length, number of rows) for consecutive groups covering sorted `prompts`.

    A group of length 0 shares nothing. Of all ways to group, the one that saves most tokens, (rows - 1) x length summed
    over groups, found on the tree of longest common prefixes; the kept prefixes, padded to the longest, fit `budget`.
    """
    _, groups = _best(prompts, 0, len(prompts))
    saving = [length * (rows - 1) for length, rows in groups]
    kept, longest = set(), 0
    for i in sorted(range(len(groups)), key=lambda i: (-saving[i], i)):
        if saving[i] and (len(kept) + 1) * max(longest, groups[i][0]) <= budget:
            kept.add(i)
            longest = max(longest, groups[i][0])
    if sum(saving[i] for i in kept) < MIN_SAVING * sum(map(len, prompts)):
        return [(0, len(prompts))]
    return [(length if i in kept else 0, rows) for i, (length, rows) in enumerate(groups)]


def _best(prompts: list[Tokens], lo: int, hi: int) -> tuple[int, list[tuple[int, int]]]:
    rows = hi - lo
    if rows < MIN_GROUP:
        return 0, [(0, rows)]
    depth = _common(prompts[lo], prompts[hi - 1])  # sorted: the ends differ soonest
    depth = min(depth, min(len(p) for p in prompts[lo:hi]) - 1)  # a row needs a token of its own to be asked about
    own = (rows - 1) * depth
    saved, groups, start = 0, [], lo
    for i in range(lo + 1, hi + 1):
        if i == hi or _at(prompts[i], depth) != _at(prompts[start], depth):
            if start == lo and i == hi:  # an end of one prompt inside another: nothing left to split
                return own, [(depth, rows)]
            child, parts = _best(prompts, start, i)
            saved += child
            groups += parts
            start = i
    return (own, [(depth, rows)]) if own >= saved else (saved, groups)


def _at(prompt: Tokens, depth: int) -> int:
    return prompt[depth] if depth < len(prompt) else -1


def _common(a: Tokens, b: Tokens) -> int:
    for i, (x, y) in enumerate(zip(a, b, strict=False)):
        if x != y:
            return i
    return min(len(a), len(b))


def batches(prefix: list[int], suffix: list[int], budget: int) -> list[list[int]]:
    """Rows cut into batches, longest suffix first, of at most `budget` tokens when padded (or one row)."""
    out: list[list[int]] = []
    width = longest = 0
    for i in sorted(range(len(suffix)), key=lambda i: (-suffix[i], -prefix[i], i)):
        width = max(width, prefix[i])
        if not out or (len(out[-1]) + 1) * (width + longest) > budget:
            out.append([])
            width, longest = prefix[i], suffix[i]
        out[-1].append(i)
    return out
