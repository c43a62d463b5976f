"""Passes small enough to be worked by hand."""

from types import SimpleNamespace

import torch
from torch import Tensor, tensor

from expunge.losses.inputs import LossInputs


def a_pass(
    p=None,
    start=None,
    *,
    logits=None,
    labels=None,
    teacher=None,
    hidden=None,
    start_hidden=None,
    stream="forget",
    mask=None,
    seed=0,
) -> LossInputs:
    """One row (or several: a list of lists) of answer tokens with probabilities ``p`` now and
    ``start`` before; or packed ``logits``.
    """
    if logits is not None:
        z = tensor(logits, dtype=torch.float64) if not isinstance(logits, Tensor) else logits
        y = tensor(labels)
        logp = torch.log_softmax(z, -1).gather(-1, y[:, None])[:, 0][None]
        at = (torch.zeros(len(y), dtype=torch.long), torch.arange(len(y)))
        t = (
            None
            if teacher is None
            else (teacher if isinstance(teacher, Tensor) else tensor(teacher, dtype=torch.float64))
        )
        return LossInputs(
            stream,
            ("r0",),
            torch.ones(1, len(y), dtype=torch.bool),
            y[None],
            logp,
            at=at,
            logits=z,
            teacher=t,
            seed=seed,
        )
    if hidden is not None:
        h = {
            k: tensor(v, dtype=torch.float64) if not isinstance(v, Tensor) else v
            for k, v in hidden.items()
        }
        h0 = {
            k: tensor(v, dtype=torch.float64) if not isinstance(v, Tensor) else v
            for k, v in (start_hidden or {}).items()
        }
        b, t = next(iter(h.values())).shape[:2]
        ids = tuple(f"r{i}" for i in range(b))
        return LossInputs(
            stream,
            ids,
            torch.ones(b, t, dtype=torch.bool),
            torch.zeros(b, t, dtype=torch.long),
            hidden=h,
            start_hidden=h0,
            seed=seed,
        )
    rows = lambda x: tensor(x if isinstance(x[0], list) else [x], dtype=torch.float64).log()
    logp = rows(p)
    keep = torch.ones(logp.shape, dtype=torch.bool) if mask is None else tensor(mask)
    ids = tuple(f"r{i}" for i in range(len(logp)))
    return LossInputs(
        stream,
        ids,
        keep,
        torch.zeros(logp.shape, dtype=torch.long),
        logp,
        None if start is None else rows(start),
        seed=seed,
    )


def seeing(weights, **auxiliaries) -> SimpleNamespace:
    """What an edit sees of weights alone: those of the model and those of others, by name."""
    return SimpleNamespace(weights=weights, auxiliaries=auxiliaries)
