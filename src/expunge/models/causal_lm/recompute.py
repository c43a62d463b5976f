"""Generation without a cache: each row is read from its beginning for every token.

Slow, and right for every causal model.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import torch
from torch import Tensor


def write_anew(
    model: Any,
    prefixes: Sequence[Sequence[int]],
    budgets: Sequence[int],
    eos: frozenset[int],
    rows: Sequence[int],
    result: list[list[int]],
) -> Generator[tuple[Tensor, list[int]], Tensor, None]:
    """Append to ``result[i]`` what follows prefix i, for i in ``rows``, until an end token or the
    budget.

    Rows are padded at the right, where no token of theirs sees it, whether the model attends or
    keeps a state.
    """
    device = next(model.parameters()).device
    open_ = [i for i in rows if budgets[i] > 0]
    while open_:
        texts = [[*prefixes[i], *result[i]] for i in open_]
        ids = torch.zeros(len(texts), max(map(len, texts)), dtype=torch.long)
        for line, text in enumerate(texts):
            ids[line, : len(text)] = torch.tensor(text)
        last = torch.tensor([len(text) - 1 for text in texts])
        logits = _logits_at(model, ids.to(device), last.to(device))
        chosen = yield logits, open_
        for i, token in zip(open_, chosen.tolist(), strict=True):
            result[i].append(token)
        open_ = [i for i in open_ if result[i][-1] not in eos and len(result[i]) < budgets[i]]


def _logits_at(model: Any, ids: Tensor, last: Tensor) -> Tensor:
    """The logits [B, V] of one place of each row; the head is run there only."""
    lines = torch.arange(len(ids), device=ids.device)

    def select(_module: Any, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (args[0][lines, last].unsqueeze(1), *args[1:])

    handle = model.get_output_embeddings().register_forward_pre_hook(select)
    try:
        return model(input_ids=ids, use_cache=False).logits[:, -1]
    finally:
        handle.remove()
