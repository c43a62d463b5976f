"""What can be said of a model after a deletion, and under which assumptions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from expunge.core.lineage import DeletionPlan, Lineage

EXACT = (
    "every shard of this model is the result of a training that read none of the removed rows",
    "its weights are those of training all shards anew without them, with the same seed, places "
    "of rows and settings",
)
NOT_PROVEN = (
    "nothing is said of the start model and its tokenizer: what they know of the removed rows "
    "remains",
    "nothing is said of other copies: the ensemble before, its slices, and whatever was made of it",
    "nothing is said of rows that tell the same in other words and were kept",
    "the rows were removed as somebody asked: requests that were chosen by looking at the model "
    "void the claim",
)
OTHER_LIBRARIES = (
    "some slices that were kept were trained with other libraries or on another device: the bits "
    "of a training anew with one set of them are not claimed"
)


@dataclass(frozen=True)
class Certificate:
    """What a deletion did, and what follows from it.

    Attributes:
        kind: ``exact``: the model does not depend on the removed rows; ``none``: nothing is
            claimed.
        before: Digest of the ensemble that the deletion began with.
        model: Digest of the result.
        start: Digest of the model that every shard began with.
        removed_rows: How many rows went.
        retrained: Shard -> the slice from which it was trained again, the digest of the checkpoint
            that it began with, and that of the shard now.
        kept: Shard -> its digest, unchanged.
        steps: Optimizer steps that were taken.
        steps_of_all: Optimizer steps of training all shards anew.
        seed: Of the training.
        versions: Libraries and device of this deletion.
        proven: What holds.
        not_proven: What is not said.
    """

    kind: Literal["exact", "none"]
    before: str
    model: str
    start: str
    removed_rows: int
    retrained: Mapping[str, Mapping[str, Any]]
    kept: Mapping[str, str]
    steps: int
    steps_of_all: int
    seed: int
    versions: Mapping[str, str]
    proven: tuple[str, ...] = EXACT
    not_proven: tuple[str, ...] = NOT_PROVEN

    def as_json(self) -> dict[str, Any]:
        """Plain data for certificate.json."""
        return {"schema": 1, **asdict(self)}


def certificate(before: Lineage, after: Lineage, plan: DeletionPlan) -> Certificate:
    """The certificate of an exact deletion.

    Args:
        before: How the ensemble came about.
        after: How the result did.
        plan: What was trained again.
    """
    last = before.slices
    retrained = {
        str(shard): {
            "from_slice": piece,
            "began_with": before.start
            if piece == 1
            else before.checkpoints[f"{shard}/{piece - 1}"],
            "now": after.checkpoints[f"{shard}/{last}"],
        }
        for shard, piece in sorted(plan.first.items())
    }
    kept = {
        str(shard): before.checkpoints[f"{shard}/{last}"]
        for shard in range(1, before.shards + 1)
        if shard not in plan.first
    }
    same = before.versions == after.versions
    return Certificate(
        kind="exact",
        before=before.digest,
        model=after.digest,
        start=before.start,
        removed_rows=plan.removed,
        retrained=retrained,
        kept=kept,
        steps=plan.trained,
        steps_of_all=plan.whole,
        seed=before.seed,
        versions=after.versions,
        proven=EXACT if same else EXACT[:1],
        not_proven=NOT_PROVEN if same else (*NOT_PROVEN, OTHER_LIBRARIES),
    )
