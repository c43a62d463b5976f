"""Steps in float32 on weights that are held in bfloat16: what a step adds is not rounded away
before the next.

A bfloat16 number has 8 bits, so that a step of less than 1/512 of a weight leaves it as it was; at
the usual learning rates that is most steps on most weights, and all of them on a norm's gain of 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from expunge.core.errors import Refused

KEY = "wide"  # of an optimizer's state_dict
Pair = tuple[Tensor, Tensor]  # (the weights as they are held, their float32 copy)


def check_trainable(name: str, params: Sequence[Tensor]) -> None:
    """Refuse to train a float16 model: its gradients under- and overflow without a word."""
    if any(p.dtype == torch.float16 for p in params):
        raise Refused(
            f"{name}: float16 weights are not trained, their gradients under- and overflow; pass "
            f"--dtype bfloat16 or float32"
        )


def widen(optimizer: torch.optim.Optimizer) -> list[Pair]:
    """Let an optimizer that has made no step yet step on float32 copies of its 16-bit parameters;
    the copies, [] if it has none.

    Before a step the copies get the gradients, after it the parameters get the copies' values,
    rounded. A parameter that was set from outside since (held entries of a mask, a resumed
    checkpoint) outranks its copy. The copies are part of ``state_dict``.
    """
    pairs: list[Pair] = []
    for group in optimizer.param_groups:
        group["params"] = [_wide(p, pairs) for p in group["params"]]
    if pairs:
        optimizer.register_step_pre_hook(lambda *_: _take(pairs))
        optimizer.register_step_post_hook(lambda *_: _give(pairs))
        optimizer.register_state_dict_post_hook(
            lambda _, state: {**state, KEY: [wide.detach() for _, wide in pairs]}
        )
        optimizer.register_load_state_dict_pre_hook(lambda _, state: _restore(pairs, state))
    return pairs


def _wide(p: Tensor, pairs: list[Pair]) -> Tensor:
    if torch.finfo(p.dtype).bits >= 32:
        return p
    pairs.append((p, p.detach().float().requires_grad_()))
    return pairs[-1][1]


@torch.no_grad()
def _take(pairs: Sequence[Pair]) -> None:
    for p, wide in pairs:
        wide.copy_(torch.where(wide.to(p.dtype) == p, wide, p.float()))
        wide.grad = None if p.grad is None else p.grad.float()


@torch.no_grad()
def _give(pairs: Sequence[Pair]) -> None:
    for p, wide in pairs:
        p.copy_(wide)
        wide.grad = None


@torch.no_grad()
def _restore(pairs: Sequence[Pair], state: dict[str, Any]) -> dict[str, Any]:
    for (_, wide), kept in zip(pairs, state.get(KEY, ()), strict=False):
        wide.copy_(kept)
    return {name: value for name, value in state.items() if name != KEY}


def told(stage: str, pairs: Sequence[Pair]) -> str:
    """One line on what the copies are and cost."""
    held = str(pairs[0][0].dtype).removeprefix("torch.")
    # the copy, and both moments in float32 where there are any
    size = sum(wide.numel() for _, wide in pairs) * 12 / 1e9
    return (
        f"stage {stage}: the weights are {held}; steps are made on a float32 copy ({size:.1f} GB "
        f"with its moments), "
        f"the result is rounded to {held}"
    )
