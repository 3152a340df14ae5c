"""Divide tokenised prompts into windows, batches and groups with a shared prefix.

Batches are a pure function of the tokenised prompts and the token budget. Prompts are sorted by their tokens, so that
prompts with a common beginning (chat header, template, persona) are neighbours. They are cut into windows, and each
window into batches, longest prompts first. Windows are cut one after the other: if a resumed run leaves out the windows
that are finished, the remaining ones are the same as before. So bf16 responses, which depend on their batch, repeat.
"""

from collections.abc import Sequence

Tokens = Sequence[int]
MIN_GROUP = 4  # rows that must share a prefix before it is worth computing on its own
FORWARD = 64  # fixed cost of a forward pass, in tokens
MIN_SAVING = 0.1  # share of a window's tokens that prefix reuse must save to be worth its overhead


def windows(prompts: list[Tokens], tokens: int, most: int | None = None) -> list[list[int]]:
    """Indices of `prompts` in lexicographic order, cut into windows of at most `tokens` tokens and `most` prompts."""
    out: list[list[int]] = []
    room = 0
    for i in sorted(range(len(prompts)), key=lambda i: (prompts[i], i)):
        if not out or len(prompts[i]) > room or len(out[-1]) == most:
            out.append([])
            room = max(tokens, len(prompts[i]))
        out[-1].append(i)
        room -= len(prompts[i])
    return out


def shared_prefixes(prompts: list[Tokens], budget: int) -> list[tuple[int, list[int]]]:
    """Group sorted `prompts` by prefixes that are worth computing once.

    Parameters
    ----------
    prompts : list of token sequences
        In lexicographic order.
    budget : int
        Tokens that all prefixes together may have when padded to the longest.

    Returns
    -------
    list of (int, list of int)
        Length of the common prefix (0: nothing is shared) and the rows that have it. Every row is in one group.

    Notes
    -----
    The groups maximise the saved tokens, (rows - 1) x length summed over groups, on the tree of common prefixes. They
    save at least as many as grouping by the first n tokens does, for any n.
    """
    _, groups = _best(prompts, range(len(prompts)))
    groups.sort(key=lambda group: (-group[0] * (len(group[1]) - 1), group[1][0]))
    kept: list[tuple[int, list[int]]] = []
    for length, rows in groups:
        if length and (len(kept) + 1) * max(length, *(g[0] for g in kept), 0) <= budget:
            kept.append((length, rows))
    if sum(length * (len(rows) - 1) for length, rows in kept) < MIN_SAVING * sum(map(len, prompts)):
        kept = []
    sharing = {row for _, rows in kept for row in rows}
    alone = [row for row in range(len(prompts)) if row not in sharing]
    return [*kept, (0, alone)] if alone else kept


def _best(prompts: list[Tokens], rows: Sequence[int]) -> tuple[int, list[tuple[int, list[int]]]]:
    """(tokens saved, groups) of `rows`, which are neighbours in lexicographic order."""
    if len(rows) < MIN_GROUP:
        return 0, []
    depth = _common(prompts[rows[0]], prompts[rows[-1]])  # sorted, so the first and the last differ earliest
    children: list[list[int]] = [[]]
    for row in rows:
        if children[-1] and _at(prompts[row], depth) != _at(prompts[children[-1][0]], depth):
            children.append([])
        children[-1].append(row)
    length = min(depth, min(len(prompts[row]) for row in rows) - 1)  # each row needs a token of its own
    if len(children) == 1:  # all the same prompt
        return length * (len(rows) - 1), [(length, list(rows))]
    solved = [(child, *_best(prompts, child)) for child in children]
    joined = [row for child, saved, _ in solved if saved <= length * len(child) for row in child]
    if len(joined) < MIN_GROUP or not length:
        return sum(saved for _, saved, _ in solved), [group for _, _, groups in solved for group in groups]
    apart = [(saved, groups) for child, saved, groups in solved if saved > length * len(child)]
    return (
        length * (len(joined) - 1) + sum(saved for saved, _ in apart),
        [(length, joined), *(group for _, groups in apart for group in groups)],
    )


def _at(prompt: Tokens, depth: int) -> int:
    return prompt[depth] if depth < len(prompt) else -1


def _common(a: Tokens, b: Tokens) -> int:
    for i, (x, y) in enumerate(zip(a, b, strict=False)):
        if x != y:
            return i
    return min(len(a), len(b))


def batches(prefix: list[int], suffix: list[int], budget: int) -> list[list[int]]:
    """Divide rows into batches of at most `budget` tokens when padded (or of one row), longest suffix first.

    Parameters
    ----------
    prefix, suffix : list of int
        Tokens of each row that are already computed, and that must be computed.
    budget : int
        Most tokens of a batch, padding included.

    Returns
    -------
    list of list of int
        Rows of each batch. Of all divisions, the one that computes the fewest tokens, with padding and the fixed cost
        of a forward pass (dynamic programming: the best division of the first rows does not depend on the rest).
    """
    order = sorted(range(len(suffix)), key=lambda i: (-suffix[i], -prefix[i], i))
    cost, starts = [0], [0]  # of the best division of the first rows: tokens computed, start of its last batch
    for end in range(1, len(order) + 1):
        wide, best = 0, (float("inf"), 0)
        for start in range(end - 1, -1, -1):
            wide, rows, longest = max(wide, prefix[order[start]]), end - start, suffix[order[start]]
            if rows > 1 and rows * (wide + longest) > budget:
                break
            best = min(best, (cost[start] + rows * longest + FORWARD, start))
        cost.append(best[0])
        starts.append(best[1])
    out, end = [], len(order)
    while end:
        out.append(order[starts[end] : end])
        end = starts[end]
    return out[::-1]
