"""What all models made of one torch module have in common."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from expunge.core.errors import Refused
from expunge.core.stages import Adapter
from expunge.models.changes import stored_pairs
from expunge.models.modules import differentiable, digest_tensors, evaluating, parameters_of, select


@dataclasses.dataclass
class TorchModel:
    """A model whose weights are those of one torch module, with where it came from.

    ``source`` is what the user named (folder, hub id, tiny); ``folder`` the local folder, if there
    is one; ``digest`` a sha256 over its files (or over the tensors of a model that has none), which
    keys every cache.
    """

    model: Any

    @property
    def module(self) -> torch.nn.Module:
        """The torch module itself, for the training loop, which moves its weights."""
        module: torch.nn.Module = self.model
        return module

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        device: torch.device = next(self.model.parameters()).device
        return device

    @property
    def dtype(self) -> torch.dtype:
        """The type of the weights."""
        dtype: torch.dtype = next(self.model.parameters()).dtype
        return dtype

    def evaluating(self) -> AbstractContextManager[Any]:
        """A context without gradients and dropout; the modes of before come back after it."""
        return evaluating(self.model)

    def differentiable(self) -> AbstractContextManager[list[Tensor]]:
        """A context with the weights that a loss can be differentiated by, which are all; without
        dropout.
        """
        return differentiable(self.model)

    def decided(self) -> str:
        """sha256 over what besides the weights decides its answers."""
        raise NotImplementedError

    def weights(self) -> dict[str, Tensor]:
        """Every weight by name, detached and sharing memory; tied ones once."""
        return parameters_of(self.model)

    def trained(self) -> dict[str, Tensor]:
        """The weights that an optimizer moves, by name."""
        return {n: p for n, p in self.model.named_parameters() if p.requires_grad}

    def select(self, pattern: str) -> None:
        """Train only the weights whose name matches ``pattern``; '' leaves all as they are.

        Raises:
            Refused: none does.
        """
        select(self.model, pattern)

    def fingerprint(self) -> str:
        """sha256 over names and values of every weight as it is now."""
        return digest_tensors(self.model)

    def copy(self) -> Self:
        """A model with weights of its own, which are the same."""
        return dataclasses.replace(self, model=copy.deepcopy(self.model))

    def without_origin(self) -> Self:
        """The same weights, which are about to change: no folder and no digest are theirs."""
        return dataclasses.replace(self, folder=None, digest="")  # type: ignore[call-arg]

    def restore(self, folder: Path) -> None:
        """Nothing: the training loop reads the names of a checkpoint as they stand."""

    @property
    def adapter(self) -> Adapter | None:
        """The adapter that the model came with; None of a plain model."""
        return None

    def adaptable(self, targets: str) -> list[str]:
        """The modules that an adapter may sit on, by a pattern of names; none for ''.

        Raises:
            Refused: no module's name matches, or models of this family take no adapter.
        """
        raise Refused(
            f"--lora: a {type(self.model).__name__} takes no adapter here; leave it away, so that "
            f"all weights are trained"
        )

    def attach(self, adapter: Adapter, targets: Sequence[str], seed: int) -> None:
        """Put a fresh adapter on the model, in place; the rest of the weights stands still."""
        self.adaptable("")

    def go_on(self, pattern: str) -> None:
        """Train the adapter that the model came with."""

    def merge(self) -> None:
        """Fold the adapter into the weights, all of which may be trained again; in place."""

    def changed_from(self, folder: Path | None) -> Iterator[tuple[Tensor, Tensor]]:
        """(before, after) of the weights that a folder keeps and those of now; none without one."""
        return stored_pairs(self.model, folder) if folder else iter(())
