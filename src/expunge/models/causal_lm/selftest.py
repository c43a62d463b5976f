"""What is tried of every model when it is read, on a few tokens: whether its logits mean what a
causal language model's mean.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from expunge.core.errors import Refused
from expunge.models.modules import evaluating

PROBE = 6  # tokens of the rows that are tried


def tolerance(logits: Tensor) -> float:
    """How far two ways to compute the same logits may be apart: 1e-4 in float32 and 1e-2 in 16
    bits, of the largest logit (1 at least).
    """
    exact = torch.finfo(logits.dtype).bits >= 32
    return (1e-4 if exact else 1e-2) * max(1.0, float(logits.abs().max()))


def check_reading(source: str, model: Any) -> None:
    """Refuse a model whose logits are not one per token, or whose tokens see those behind them.

    Every label would be read at another place, or would be in sight of its own prediction.
    """
    vocab = int(model.get_input_embeddings().weight.shape[0])
    device = next(model.parameters()).device
    first = torch.tensor([(3 + 5 * i) % vocab for i in range(PROBE)])
    second = first.clone()
    second[-1] = (int(first[-1]) + 1) % vocab
    ids = torch.stack([first, second]).to(device)
    with evaluating(model):
        logits = model(input_ids=ids, use_cache=False).logits
    if tuple(logits.shape[:2]) != tuple(ids.shape):
        raise Refused(
            f"{source}: {ids.shape[1]} tokens give {logits.shape[1]} places of logits; every row "
            f"would be read at the wrong places"
        )
    before = logits[:, :-1].float()
    if bool((before[0] - before[1]).abs().max() > tolerance(logits)):
        raise Refused(
            f"{source}: the tokens of {type(model).__name__} see what follows them, so it is no "
            f"causal language model; "
            "take a model that predicts the next token"
        )
