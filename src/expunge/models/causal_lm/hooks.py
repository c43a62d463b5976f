"""Hidden states of every block, one block at a time, at the places that predict the scored tokens;
and states put in their stead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from expunge.core.errors import Refused
from expunge.models.causal_lm.modules import blocks
from expunge.models.modules import evaluating

Place = tuple[Tensor, Tensor]


def states_of(output: Any) -> Tensor:
    """The hidden states in what a block puts out."""
    return output[0] if isinstance(output, tuple) else output


@contextmanager
def watched(model: Any, at: Place, see: Callable[[int, Tensor], None]) -> Iterator[None]:
    """Within it, ``see(block, states [N, D])`` is called as each block has run: its output at
    ``at`` = (bin, position).
    """
    with ExitStack() as stack:
        for i, block in enumerate(blocks(model)):

            def keep(_module: Any, _args: Any, out: Any, i: int = i) -> None:
                see(i, states_of(out)[at])

            stack.callback(block.register_forward_hook(keep).remove)
        yield


@contextmanager
def patched(model: Any, layer: int, at: Place, states: Tensor) -> Iterator[None]:
    """Within it, block ``layer`` puts out ``states`` [N, D] at ``at``, and its own elsewhere."""

    def put(_module: Any, _args: Any, out: Any) -> Any:
        own = states_of(out).clone()
        own[at] = states.to(own)
        return (own, *out[1:]) if isinstance(out, tuple) else own

    handle = blocks(model)[layer].register_forward_hook(put)
    try:
        yield
    finally:
        handle.remove()


def norms_before_head(model: Any, ids: Sequence[int]) -> list[nn.Module]:
    """The modules between the last block and the head (the final norm), found by following a few
    tokens through.

    Refused if the head is reached by other means: a lens that leaves out a step would read another
    model.
    """
    last, head = blocks(model)[-1], model.get_output_embeddings()
    inside = {m for b in blocks(model) for m in b.modules()}
    calls: list[tuple[nn.Module, Tensor, Any]] = []

    def note(module: nn.Module, args: Any, out: Any) -> None:
        if module is last:
            calls.clear()
        if module is last or (args and isinstance(args[0], Tensor)):
            calls.append((module, args[0] if args else states_of(out), states_of(out)))

    with ExitStack() as stack:
        for module in model.modules():
            if module is last or (
                module not in inside
                and not any(True for c in module.children() if not isinstance(c, nn.Identity))
            ):
                stack.callback(module.register_forward_hook(note).remove)
        with evaluating(model):
            model(
                input_ids=torch.tensor([list(ids)], device=next(model.parameters()).device),
                use_cache=False,
            )
    same = lambda a, b: a.shape == b.shape and torch.equal(a, b)
    found: list[nn.Module] = []
    if calls and calls[0][0] is last:
        x = calls[0][2]
        for module, given, out in calls[1:]:
            if same(given, x):
                if module is head:
                    return found
                found.append(module)
                x = out
    raise Refused(
        f"cannot follow what {type(model).__name__} does between its last block and its head; no "
        f"lens can be put there"
    )
