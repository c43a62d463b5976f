"""Whether what was saved is the model that was saved: it is read again, before it takes its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from expunge.core.errors import Failed, Refused, listed
from expunge.models.causal_lm.folders import is_adapter
from expunge.models.causal_lm.load import read_weights
from expunge.models.causal_lm.selftest import PROBE, tolerance
from expunge.models.modules import evaluating

CPU = torch.device("cpu")


def check_saved(model: Any, place: Path, home: Path) -> None:
    """Read ``place`` again, in the type in which it is stored, and hold it against the model: every
    tensor, and the logits of a row.

    ``home`` is where it will stand, for the message.

    Read on the CPU, so that the accelerator need not hold a second model. Failed: a folder that
    does not load, or that loads as another model. An adapter whose base stands on no disk cannot be
    read again and passes.
    """
    if not list(place.glob("*.safetensors")):
        raise Failed(
            f"could not save {home}: no weights were written; a run's checkpoints are kept"
        )
    if is_adapter(place) and not getattr(model.get_base_model(), "_expunge_base", None):
        return
    trust = type(_plain(model)).__module__.startswith("transformers_modules")
    try:
        again = read_weights(place, "stored", CPU, trust)
    except Refused as error:
        raise Failed(
            f"could not save {home}: what was written cannot be read again ({error}); a run's "
            f"checkpoints are kept"
        ) from None
    names = _differing(model.state_dict(), again.state_dict())
    if names:
        raise Failed(
            f"could not save {home}: it is read again with other weights, {listed(names, 6)}; a "
            f"run's checkpoints are kept"
        )
    if next(model.parameters()).device == CPU:
        apart = _apart(model, again)
        if apart:
            raise Failed(
                f"could not save {home}: it is read again with the same weights and says something "
                f"else, its logits are {apart:.3g} apart; "
                "a run's checkpoints are kept"
            )


def _plain(model: Any) -> Any:
    return model.get_base_model() if hasattr(model, "peft_config") else model


def _differing(own: dict[str, Any], read: dict[str, Any]) -> list[str]:
    """Names that only one of two models has, or whose values differ in the type of the one that was
    read.
    """
    names = set(own) ^ set(read)
    for name in set(own) & set(read):
        value = own[name].detach().to(CPU, read[name].dtype)
        same = value.shape == read[name].shape and torch.equal(value, read[name])
        if not same and not torch.equal(torch.nan_to_num(value), torch.nan_to_num(read[name])):
            names.add(name)
    return sorted(names)


def _apart(model: Any, again: Any) -> float:
    """How far the logits of one row are apart; 0 where that is what rounding makes."""
    vocab = int(model.get_input_embeddings().weight.shape[0])
    ids = torch.tensor([[(3 + 5 * i) % vocab for i in range(PROBE)]])
    with evaluating(model), evaluating(again):
        own, read = (m(input_ids=ids, use_cache=False).logits for m in (model, again))
    apart = float((own.float() - read.float()).abs().max())
    return apart if apart > max(tolerance(own), tolerance(read)) else 0.0
