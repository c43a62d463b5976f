"""Optimizers that a Training may name: AdamW, SGD, and Sophia as second-order unlearning uses it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

SOPHIA_ROWS = 5120.0  # the constant that the published code multiplies rho by: tokens of its batch


class Sophia(torch.optim.Optimizer):
    """Clipped second-order steps: theta <- theta (1 - lr wd) - lr sign(m) min(1, |m| / (rho rows h
    + 1e-15)).

    m is the moving average of the gradient (b1), h that of its square (b2), renewed at every step.
    No entry ever moves by more than lr (decay apart). Source: Jia et al. 2024 (SOUL), after Sophia;
    the reference code updates m twice a step, this one once.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.95),
        rho: float = 0.04,
        weight_decay: float = 0.0,
        rows: float = SOPHIA_ROWS,
    ) -> None:
        super().__init__(
            params,
            {"lr": lr, "betas": betas, "rho": rho, "weight_decay": weight_decay, "rows": rows},
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step on every parameter that has a gradient."""
        loss = None if closure is None else closure()
        for group in self.param_groups:
            b1, b2 = group["betas"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["m"], state["h"] = torch.zeros_like(p), torch.zeros_like(p)
                m, h = (
                    state["m"].lerp_(p.grad, 1 - b1),
                    state["h"].mul_(b2).addcmul_(p.grad, p.grad, value=1 - b2),
                )
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.sub_(group["lr"] * _clipped(m, h, group["rho"] * group["rows"]))
        return loss


def _clipped(m: Tensor, h: Tensor, scale: float) -> Tensor:
    return m.sign() * (m.abs() / (scale * h + 1e-15)).clamp(max=1.0)


def optimizer_of(
    name: str, groups: list[dict[str, Any]], lr: float, betas: tuple[float, float], rho: float
) -> torch.optim.Optimizer:
    """The optimizer by name over parameter groups that carry their weight decay: sophia or sgd
    (Trainer itself makes adamw).
    """
    if name == "sgd":
        return torch.optim.SGD(groups, lr=lr)
    return Sophia(groups, lr=lr, betas=betas, rho=rho)
