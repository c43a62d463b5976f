"""A model's output head by itself: hidden states to logits, so that states can stand for whole
distributions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from expunge.core.data import Row
from expunge.core.errors import Failed
from expunge.models.causal_lm.forward import capacity_for, forward, pack
from expunge.models.modules import evaluating


@dataclass
class Head:
    """A frozen copy of a model's output head: hidden [N, D] -> logits [N, V], with the model's own
    soft-cap and scaling.
    """

    weight: Tensor
    bias: Tensor | None
    scale: float
    cap: float | None

    def __call__(self, hidden: Tensor) -> Tensor:
        z = linear(hidden.to(self.weight.dtype), self.weight, self.bias) * self.scale
        return torch.tanh(z / self.cap) * self.cap if self.cap else z

    @classmethod
    def of(cls, model: Any) -> Head:
        """A copy of the model's head; Failed if it is not a linear map (checked against the model's
        own logits by ``verified``).
        """
        layer = model.get_output_embeddings()
        config = model.config.get_text_config()
        scale = float(getattr(config, "logit_scale", None) or 1.0) / float(
            getattr(config, "logits_scaling", None) or 1.0
        )
        cap = getattr(config, "final_logit_softcapping", None)
        bias = getattr(layer, "bias", None)
        return cls(
            layer.weight.detach().clone(),
            None if bias is None else bias.detach().clone(),
            scale,
            cap,
        )

    def verified(self, model: Any, rows: Sequence[Row]) -> Head:
        """Itself, if it repeats the model's logits on a few rows."""
        packed = pack(list(rows)[:2], capacity_for(model)).to(self.weight.device)
        with evaluating(model):
            out = forward(model, packed, keep_last=True)
        assert out.logits is not None and out.last is not None
        if not torch.allclose(self(out.last).float(), out.logits.float(), rtol=1e-2, atol=1e-2):
            raise Failed(
                "this model's head is more than a linear map with a soft-cap; its distribution "
                "cannot be cached as hidden states"
            )
        return self
