"""LoRA through peft.

The start model is measured before the first step: a fresh adapter adds nothing, an earlier one
belongs to it.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, Protocol, TypeVar

import torch

from expunge.core.errors import Refused, listed


class Named(Protocol):
    """A model that knows where it came from."""

    model: Any
    source: str


M = TypeVar("M", bound=Named)


def attach(
    subject: M,
    rank: int,
    *,
    alpha: float | None = None,
    targets: Sequence[str] = (),
    dropout: float = 0.0,
    seed: int = 0,
) -> M:
    """Put a fresh LoRA adapter on the subject's model (in place) and freeze the rest.

    ``alpha`` is 2 x rank unless given.

    Without ``targets`` every linear layer but the head gets one. The initialization comes from
    ``seed``; the global generator is left as it was.
    """
    from peft import LoraConfig, get_peft_model

    if rank < 1:
        raise Refused(f"--lora {rank}; a rank of at least 1 is needed")
    config = LoraConfig(
        r=rank,
        lora_alpha=2 * rank if alpha is None else alpha,
        lora_dropout=dropout,
        target_modules=list(targets) or "all-linear",
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        # peft asks transformers for a property under its old name
        warnings.simplefilter("ignore", FutureWarning)
        torch.manual_seed(seed)
        try:
            subject.model = get_peft_model(subject.model, config)
        except ValueError as error:
            said = str(error).splitlines()[0]
            raise Refused(
                f"--lora {rank}: no adapter can be put on {type(subject.model).__name__} ({said}); "
                f"train all weights"
            ) from None
    return subject


def matrices(model: Any, pattern: str) -> list[str]:
    """The modules whose weight matrix's name matches ``pattern``, for an adapter to sit on; none
    for '' (every linear layer).

    Refused, with the nearest names that there are, if none matches: peft would take every linear
    layer then.
    """
    if not pattern:
        return []
    try:
        re.compile(pattern)
    except re.error as error:
        raise Refused(f"--lora-targets {pattern!r} is no regular expression: {error}") from None
    weights = [
        n.removesuffix(".weight")
        for n, p in model.named_parameters()
        if n.endswith(".weight") and p.dim() == 2
    ]
    chosen = [n for n in weights if re.search(pattern, f"{n}.weight")]
    if chosen:
        return chosen
    kinds = list(dict.fromkeys(n.rpartition(".")[2] for n in weights))
    wanted = max(re.findall(r"[A-Za-z_]\w+", pattern.replace(".weight", "")) or [pattern], key=len)
    near = get_close_matches(wanted, kinds, n=4, cutoff=0.4) or kinds
    raise Refused(
        f"no weight matrix has a name that matches {pattern!r}, so an adapter has nothing to sit "
        f"on; there are {listed(near)}"
    )


def go_on(subject: M, pattern: str = "") -> M:
    """Train the adapter that the model came with: on the matrices whose name matches ``pattern``
    ('' = all of it). Refused if it sits on none of them.
    """
    sits = {
        n: re.sub(r"\.lora_.*", ".weight", n.removeprefix("base_model.model."))
        for n, _ in subject.model.named_parameters()
    }
    chosen = {n for n, matrix in sits.items() if ".lora_" in n and re.search(pattern, matrix)}
    if not chosen:
        raise Refused(
            f"{subject.source}: its adapter sits on none of the weights that this method trains "
            f"({pattern}); fold it in first"
        )
    for name, p in subject.model.named_parameters():
        p.requires_grad_(name in chosen)
    return subject


def merged(subject: M) -> M:
    """The adapter folded into the weights (in place), all of which may be trained again; a plain
    model stays as it is.
    """
    if hasattr(subject.model, "merge_and_unload"):
        # peft leaves what lay below the adapter frozen
        subject.model = subject.model.merge_and_unload().requires_grad_(True)
    return subject
