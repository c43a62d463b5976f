"""LoRA through peft. The start model is the adapter switched off."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch

from expunge.core.errors import Refused
from expunge.models.subject import Subject


def attach(
    subject: Subject, rank: int, *, alpha: float | None = None, targets: Sequence[str] = (), dropout: float = 0.0, seed: int = 0
) -> Subject:
    """Put a fresh LoRA adapter on the subject's model (in place) and freeze the rest. ``alpha`` is 2 x rank unless given.

    Without ``targets`` every linear layer but the head gets one. The initialisation comes from ``seed``; the global generator is left
    as it was.
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
        warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers for a property under its old name
        torch.manual_seed(seed)
        subject.model = get_peft_model(subject.model, config)
    return subject


def merged(subject: Subject) -> Subject:
    """The adapter folded into the weights (in place); a plain model stays as it is."""
    if hasattr(subject.model, "merge_and_unload"):
        subject.model = subject.model.merge_and_unload()
    return subject
