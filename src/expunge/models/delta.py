"""A Delta: a change of weights that can be applied, undone to the bit, added to others, and kept in
a file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from expunge.core.errors import Refused
from expunge.core.files import unfinished
from expunge.core.results import EMPTY
from expunge.losses.weight_deltas import Changes, added, difference, scaled, wide

CHANGE, ORIGINAL = "change/", "original/"


@dataclass(frozen=True)
class Lora:
    """A Delta as pairs of factors.

    ``pairs``: parameter name -> (A [rank, in], B [out, rank]), the change is B A. ``error``: the
    length of what is lost over that of the whole change, 0 to 1. ``left_out``: parameters that
    are no matrices, whose change is lost whole.
    """

    pairs: Mapping[str, tuple[Tensor, Tensor]]
    error: float
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class Delta:
    """A change of weights.

    ``changes``: parameter name -> what is added. Of a Delta that was applied, ``originals`` holds
    those tensors that subtraction alone would not give back to the bit, and ``digests`` a sha256
    of every touched tensor as the change left it.
    """

    changes: Mapping[str, Tensor]
    originals: Mapping[str, Tensor] = field(default_factory=lambda: EMPTY)
    digests: Mapping[str, str] = field(default_factory=lambda: EMPTY)

    @classmethod
    def between(cls, new: Mapping[str, Tensor], old: Mapping[str, Tensor]) -> Delta:
        """new - old, of every tensor that differs."""
        return cls(difference(new, old)).touching()

    def touching(self) -> Delta:
        """The same without tensors that it does not change."""
        return Delta({n: d for n, d in self.changes.items() if bool(d.any())})

    def __add__(self, other: Delta) -> Delta:
        return Delta(added(self.changes, other.changes))

    def __rmul__(self, factor: float) -> Delta:
        return Delta(scaled(self.changes, factor))

    def __neg__(self) -> Delta:
        return -1.0 * self

    def apply(self, weights: Mapping[str, Tensor], *, undoable: bool = True) -> Delta:
        """Add the change to weights, in place and in each tensor's own dtype.

        Args:
            weights: parameter name -> tensor, in the memory of the model that is changed.
            undoable: keep what ``revert`` needs: some originals and a digest of each tensor.

        Returns:
            This change with what its undoing needs, if that was asked for.

        Raises:
            Refused: the weights lack a tensor of the change, or one has another shape.
        """
        self._check(weights)
        originals, digests = {}, {}
        with torch.no_grad():
            for name, change in self.changes.items():
                weight = weights[name]
                before = weight.detach().clone() if undoable else None
                weight.copy_(wide(weight) + change.to(weight.device))
                if before is None:
                    continue
                if not _same_bits(_subtracted(weight, change), before):
                    originals[name] = before.cpu()
                digests[name] = _digest(weight)
        return Delta(self.changes, originals, digests)

    def revert(self, weights: Mapping[str, Tensor]) -> None:
        """Give weights back what they were before ``apply``, to the bit, in place.

        Raises:
            Refused: the Delta was not applied, or the weights are no longer what it left; nothing
                is changed then.
        """
        if self.changes and not self.digests:
            raise Refused(
                "this change was not applied, so there is nothing to undo; subtract it with apply "
                "of its negative"
            )
        self._check(weights)
        moved = [n for n in self.changes if _digest(weights[n]) != self.digests[n]]
        if moved:
            raise Refused(
                f"{moved[0]} is not what the change left: the weights were changed since, so it "
                f"cannot be undone to the bit"
            )
        with torch.no_grad():
            for name, change in self.changes.items():
                kept = self.originals.get(name)
                weights[name].copy_(_subtracted(weights[name], change) if kept is None else kept)

    def _check(self, weights: Mapping[str, Tensor]) -> None:
        for name, change in self.changes.items():
            if name not in weights:
                raise Refused(
                    f"a change of {name}, which this model lacks; it belongs to another model"
                )
            if weights[name].shape != change.shape:
                raise Refused(
                    f"a change of {name} with shape {tuple(change.shape)}; this model's is "
                    f"{tuple(weights[name].shape)}"
                )

    def size(self) -> dict[str, Any]:
        """How large the change is: touched tensors and entries, its length, and the largest rank of
        a matrix.

        The rank is None where finding it would cost more than most edits. It counts the singular
        values above the largest one times the matrix's larger side times the dtype's precision.
        """
        matrices = [d for d in self.changes.values() if d.dim() == 2]
        entries = sum(int(d.count_nonzero()) for d in self.changes.values())
        norm = sum(float(d.double().square().sum()) for d in self.changes.values()) ** 0.5
        cost = sum(d.numel() * min(d.shape) for d in matrices)
        ranks = [int(torch.linalg.matrix_rank(wide(d))) for d in matrices] if cost <= RANKED else []
        return {
            "tensors": len(self.changes),
            "entries": entries,
            "norm": float(f"{norm:.6g}"),
            "rank": max(ranks) if ranks else None,
        }

    def to_lora(self, rank: int) -> Lora:
        """The best approximation of every matrix's change of a rank, by singular values.

        Args:
            rank: at least 1; a matrix whose change has a smaller rank loses nothing.

        Returns:
            The factors, and how much of the whole change is lost.
        """
        pairs, lost, total = {}, 0.0, 0.0
        for name, change in self.changes.items():
            d = change.double()
            total += float(d.square().sum())
            if d.dim() != 2:
                lost += float(d.square().sum())
                continue
            u, s, v = torch.linalg.svd(d, full_matrices=False)
            root = s[:rank].sqrt()
            pairs[name] = ((root[:, None] * v[:rank]).float(), (u[:, :rank] * root).float())
            lost += float(s[rank:].square().sum())
        left_out = tuple(n for n, d in self.changes.items() if d.dim() != 2)
        return Lora(pairs, (lost / total) ** 0.5 if total else 0.0, left_out)

    def save(self, file: Path, **facts: Any) -> Path:
        """Write the change, and what its undoing needs, as safetensors; ``facts`` stand in its
        header.
        """
        tensors = {CHANGE + n: d.detach().cpu().contiguous() for n, d in self.changes.items()}
        tensors |= {ORIGINAL + n: w.contiguous() for n, w in self.originals.items()}
        header = {"expunge": json.dumps({"digests": dict(self.digests), "facts": facts})}
        file.parent.mkdir(parents=True, exist_ok=True)
        with unfinished(file) as part:
            save_file(tensors, part, metadata=header)
        return file

    @classmethod
    def load(cls, file: Path) -> Delta:
        """Read a Delta that ``save`` wrote.

        Raises:
            Refused: the file is not there, is damaged, or holds something else.
        """
        changes: Changes = {}
        originals: Changes = {}
        digests = _header(file)["digests"]
        with safe_open(file, "pt") as kept:
            for name in kept.keys():  # noqa: SIM118 - not a mapping
                place = changes if name.startswith(CHANGE) else originals
                place[name.partition("/")[2]] = kept.get_tensor(name)
        return cls(changes, originals, digests)


RANKED = 1e11  # operations that finding ranks may cost: some seconds


def facts_of(file: Path) -> dict[str, Any]:
    """What was written beside the change into a Delta's file."""
    return dict(_header(file)["facts"])


def _header(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise Refused(f"{file}: no such file")
    try:
        with safe_open(file, "pt") as kept:
            found = json.loads((kept.metadata() or {})["expunge"])
    except (SafetensorError, KeyError, ValueError):
        raise Refused(f"{file}: not a change of weights that expunge wrote, or damaged") from None
    return {"digests": dict(found["digests"]), "facts": dict(found["facts"])}


def _subtracted(weight: Tensor, change: Tensor) -> Tensor:
    return (wide(weight) - change.to(weight.device)).to(weight.dtype)


def _bits(x: Tensor) -> Tensor:
    return x.detach().contiguous().view(-1).view(torch.uint8)


def _same_bits(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors agree in every bit: 0.0 is not -0.0."""
    return torch.equal(_bits(a), _bits(b))


def _digest(x: Tensor) -> str:
    return sha256(_bits(x).cpu().numpy().data).hexdigest()
