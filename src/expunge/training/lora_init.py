"""Fisher-initialized low-rank adapters: begin where the forget rows pull and the retain rows do
not.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from expunge.core.errors import Refused
from expunge.core.stages import Descent, Term
from expunge.losses.terms import nll
from expunge.models.base import TrainableModel
from expunge.training.localization import first_epoch
from expunge.training.sampler import Unit, tokens_of
from expunge.training.teachers import Frozen
from expunge.training.term_values import passes, values_of

EPSILON = 1e-5  # keeps both quotients finite; from the published code


def fila(
    model: TrainableModel,
    stage: Descent,
    steps: Sequence[Sequence[Unit]],
    frozen: Frozen,
    seed: int,
    batch: int = 8,
) -> None:
    """Set every adapter pair to the top directions of the Fisher-weighted base matrix, and take
    them out of the base: in place.

    F = F_forget / (F_retain + 1e-5), row weights r_i = sqrt(sum_j F_ij), diag(r) W = U S V^T, s the
    adapter's scaling: A = sqrt(S/s) V^T, B = diag(1/(r + 1e-5)) U sqrt(S/s), W <- W - s B A. The
    model's output is what it was.
    Source: Cha et al. 2025 (LoKU), section 4.3.
    """
    pairs = {
        n: m
        for n, m in model.module.named_modules()
        if hasattr(m, "lora_A") and "default" in m.lora_A
    }
    bases = {n: m.get_base_layer().weight for n, m in pairs.items()}
    units = first_epoch(stage, steps)
    if "retain" not in units[0]:
        raise Refused(
            f"stage {stage.name}: its adapter begins where retain rows do not pull; give the "
            f"retain term a weight above 0"
        )
    fisher = {
        stream: _fisher(model, bases, nll(stream), units, frozen, seed, batch)
        for stream in ("forget", "retain")
    }
    with torch.no_grad():
        for name, module in pairs.items():
            scaling = module.scaling["default"]
            a, b = begin(
                bases[name],
                fisher["forget"][name] / (fisher["retain"][name] + EPSILON),
                module.r["default"],
                scaling,
            )
            module.lora_A["default"].weight.copy_(a)
            module.lora_B["default"].weight.copy_(b)
            bases[name].sub_((scaling * b @ a).to(bases[name].dtype))


def begin(weight: Tensor, importance: Tensor, rank: int, scaling: float) -> tuple[Tensor, Tensor]:
    """A [rank, in] and B [out, rank] of a matrix [out, in] and the importance of its entries."""
    r = importance.float().sum(1).sqrt()
    u, s, v = torch.linalg.svd(r[:, None] * weight.float(), full_matrices=False)
    root = (s[:rank] / scaling).sqrt()
    return root[:, None] * v[:rank], (u[:, :rank] * root) / (r[:, None] + EPSILON)


def _fisher(
    model: TrainableModel,
    bases: dict[str, Tensor],
    term: Term,
    units: Sequence[Unit],
    frozen: Frozen,
    seed: int,
    batch: int,
) -> dict[str, Tensor]:
    """Sum over batches of (mean gradient)^2 x labels / all labels, of the base matrices."""
    stream = term.streams[0]
    total = sum(tokens_of(u[stream], term.span) for u in units)
    found = {n: torch.zeros_like(w) for n, w in bases.items()}
    for w in bases.values():
        w.requires_grad_(True)
    for i in range(0, len(units), batch):
        chunk = units[i : i + batch]
        n = sum(tokens_of(u[stream], term.span) for u in chunk)
        (value,) = values_of(
            [term], chunk, passes(model, [term], chunk, frozen, seed), frozen
        ).values()
        for name, g in zip(
            bases, torch.autograd.grad(value / n, list(bases.values())), strict=True
        ):
            found[name] += g.pow(2) * n / total
    for w in bases.values():
        w.requires_grad_(False)
    return found
