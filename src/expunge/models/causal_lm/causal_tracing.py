"""Causal tracing: which block's MLP carries an answer, by breaking the prompt and mending one block
at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from expunge.core.data import Row
from expunge.core.errors import Refused
from expunge.models.causal_lm.modules import blocks
from expunge.models.modules import evaluating

NAMES = ("mlp", "feed_forward", "ffn", "block_sparse_moe")


def mlp_of(block: nn.Module) -> tuple[str, nn.Module]:
    """The name and the module of a block's MLP. Refused if it has none of the usual names."""
    for name in NAMES:
        if hasattr(block, name):
            return name, getattr(block, name)
    raise Refused(
        f"no MLP found in a block of kind {type(block).__name__}; its parts are "
        f"{[n for n, _ in block.named_children()]}"
    )


def indirect_effects(model: Any, rows: Sequence[Row], seed: int, noise: float = 3.0) -> Tensor:
    """What mending each block's MLP gives back of the answer's probability, mean over rows:
    [blocks].

    The prompt's embeddings get Gaussian noise of ``noise`` times the embedding table's deviation,
    drawn from (seed, row). The effect of a block is P(its MLP's output over the prompt as it was
    without noise) - P(broken), P = exp(mean log-probability of the answer's tokens). A whole block
    is not mended: all that follows it would be whole, too. A text without prompt is broken in its
    first half.
    """
    mlps = [mlp_of(b)[1] for b in blocks(model)]
    sigma = noise * float(model.get_input_embeddings().weight.detach().float().std())
    found = torch.zeros(len(mlps), dtype=torch.float64)
    with evaluating(model):
        for k, row in enumerate(rows):
            cut = row.n_prompt or len(row) // 2
            generator = torch.Generator().manual_seed(hash_of(seed, k))
            shape = (1, cut, model.get_input_embeddings().weight.shape[1])
            broken = sigma * torch.randn(shape, generator=generator).to(
                model.get_input_embeddings().weight
            )
            clean: dict[int, Tensor] = {}
            _probability(model, mlps, row, cut, None, clean, ())
            low = _probability(model, mlps, row, cut, broken, clean, ())
            found += torch.tensor(
                [
                    _probability(model, mlps, row, cut, broken, clean, (i,)) - low
                    for i in range(len(mlps))
                ]
            ).double()
    return found / len(rows)


def hash_of(seed: int, k: int) -> int:
    """One generator seed for each (seed, row)."""
    return seed * 1_000_003 + k


def _probability(
    model: Any,
    mlps: Sequence[nn.Module],
    row: Row,
    cut: int,
    broken: Tensor | None,
    clean: dict[int, Tensor],
    mended: Sequence[int],
) -> float:
    """exp(mean log p) of the answer; without ``broken`` it also keeps every MLP's output over the
    prompt in ``clean``.
    """

    def spoil(_module: Any, _args: Any, out: Tensor) -> Tensor:
        return out if broken is None else torch.cat((out[:, :cut] + broken, out[:, cut:]), 1)

    def at(i: int) -> Any:
        def hook(_module: Any, _args: Any, output: Any) -> Any:
            first = output[0] if isinstance(output, tuple) else output
            if broken is None:
                clean[i] = first[:, :cut].detach()
                return None
            if i not in mended:
                return None
            whole = torch.cat((clean[i], first[:, cut:]), 1)
            return (whole, *output[1:]) if isinstance(output, tuple) else whole

        return hook

    with ExitStack() as stack:
        for handle in (
            model.get_input_embeddings().register_forward_hook(spoil),
            *(m.register_forward_hook(at(i)) for i, m in enumerate(mlps)),
        ):
            stack.callback(handle.remove)
        device = next(model.parameters()).device
        logits = model(input_ids=torch.tensor([row.ids], device=device), use_cache=False).logits[0]
    asked = [i for i, s in enumerate(row.scored) if s and i >= cut]
    logp = logits.float().log_softmax(-1)[[i - 1 for i in asked]]
    return float(
        logp.gather(-1, torch.tensor([[row.ids[i]] for i in asked], device=device)).mean().exp()
    )
