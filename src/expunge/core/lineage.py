"""Which part of an ensemble was trained on which row, what must be trained again when rows go, and
what can be said of the result.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import Any

from expunge.core.data import Row
from expunge.core.errors import Refused, listed

Place = tuple[int, int]  # (shard, slice), both counted from 1
BYTES = 16  # of a fingerprint: two rows share one by chance at a rate of 2 ** -128


def fingerprint(row: Row, key: str = "") -> str:
    """A hash of all that training reads of a row.

    Args:
        row: The row in tokens. Its id, role and source do not count.
        key: A secret; without it, nobody can try texts against the hash.

    Returns:
        32 hex digits.
    """
    read = repr((row.ids, row.scored, row.labels, row.weights))
    return blake2b(read.encode(), key=key.encode()[:64], digest_size=BYTES).hexdigest()


def _number(*words: object) -> int:
    """A number below 2 ** 64 that depends on these words alone."""
    text = "/".join(str(word) for word in words)
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


def seed_of(seed: int, place: Place) -> int:
    """The seed with which a shard is trained on its slices up to one, below 2 ** 32."""
    return _number(seed, "train", *place) % 2**32


def units_of(rows: Sequence[Row]) -> list[str]:
    """For each row the name of the unit that it is divided with: its group, or where it has none of
    its own, the content of all rows that bear its id (pieces of one text).

    A row's unit does not depend on other units.
    """
    contents: dict[str, list[str]] = {}
    for row in rows:
        contents.setdefault(row.id, []).append(fingerprint(row))
    found = []
    for row in rows:
        own = "/".join(sorted(contents[row.id]))
        found.append(f"group {row.group}" if row.group not in ("", row.id) else f"rows {own}")
    return found


def divided(rows: Sequence[Row], shards: int, slices: int, seed: int) -> list[Place]:
    """The place of every row: a function of the seed and the row's unit alone, so that a row that
    goes moves no other.
    """
    return [
        (
            1 + _number(seed, "shard", unit) % shards,
            1 + _number(seed, "slice", unit) % slices,
        )
        for unit in units_of(rows)
    ]


def in_order(rows: Iterable[Row]) -> list[Row]:
    """Rows in an order that depends on what they hold, and on nothing else."""
    return sorted(rows, key=fingerprint)


@dataclass(frozen=True)
class Lineage:
    """How an ensemble came about.

    Attributes:
        shards: How many models it has.
        slices: In how many steps the rows of a shard were added.
        seed: Decides the place of every row and all that is drawn.
        key: The secret under which rows are hashed.
        rows: Keyed fingerprint of a row -> its place; one for each copy of the row.
        training: The training settings, as plain data.
        digest: Of the ensemble.
        start: Digest of the model that every shard began with.
        checkpoints: ``shard/slice`` -> the digest of the shard after that slice.
        versions: Of the libraries, and the kind of device: other ones round otherwise.
    """

    shards: int
    slices: int
    seed: int
    key: str
    rows: Mapping[str, tuple[Place, ...]]
    training: Mapping[str, Any]
    digest: str
    start: str
    checkpoints: Mapping[str, str]
    versions: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        """Plain data; no text of a row is in it."""
        return {"schema": 1, **asdict(self)}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Lineage:
        """What ``as_json`` gave.

        Raises:
            KeyError: A part is missing; TypeError and ValueError: one is of another kind.
        """
        rows = {
            str(name): tuple((int(shard), int(piece)) for shard, piece in places)
            for name, places in plain["rows"].items()
        }
        return cls(
            shards=int(plain["shards"]),
            slices=int(plain["slices"]),
            seed=int(plain["seed"]),
            key=str(plain["key"]),
            rows=rows,
            training=dict(plain["training"]),
            digest=str(plain["digest"]),
            start=str(plain["start"]),
            checkpoints=dict(plain["checkpoints"]),
            versions=dict(plain["versions"]),
        )

    def without(self, removed: Sequence[Row]) -> Removal:
        """Which places held rows.

        Args:
            removed: The rows that are to go; every copy of them goes.

        Raises:
            Refused: The ensemble was not trained on one of them, named by file and line.
        """
        known = {fingerprint(row, self.key): row for row in removed}
        strange = [row for name, row in known.items() if name not in self.rows]
        if strange:
            raise Refused(
                f"{len(strange)} of the {len(known)} rows to forget are not in the index of this "
                f"ensemble, it was not trained on them as they stand: "
                f"{listed([row.source or row.id for row in strange], 3)}; leave them away"
            )
        places = [place for name in known for place in self.rows[name]]
        rows = {name: held for name, held in self.rows.items() if name not in known}
        return Removal(len(places), first_slices(places), rows)

    def placed(self, kept: Sequence[Row], removal: Removal) -> list[tuple[Row, Place]]:
        """The rows that remain, each with its place.

        Args:
            kept: The rows that the ensemble was trained on, as they were, without those that go.
            removal: What ``without`` found.

        Raises:
            Refused: A row is new, was changed, stands among those that go, or does not come as
                often as the ensemble was trained on it.
        """
        by_name: dict[str, list[Row]] = {}
        for row in kept:
            by_name.setdefault(fingerprint(row, self.key), []).append(row)
        strange = [row for name, rows in by_name.items() if name not in self.rows for row in rows]
        if strange:
            raise Refused(
                f"{len(strange)} of the {len(kept)} rows to keep are not in the index of this "
                f"ensemble: new, changed, or read with another --max-length, "
                f"{listed([row.source or row.id for row in strange], 3)}; give the rows that it "
                f"was trained on as they were"
            )
        both = [rows[0] for name, rows in by_name.items() if name not in removal.remaining]
        if both:
            raise Refused(
                f"{len(both)} rows to keep say the same as rows to forget, "
                f"{listed([row.source or row.id for row in both], 3)}; every copy of a row goes, "
                f"give --allow-overlap drop"
            )
        missing = {
            name: len(places) - len(by_name.get(name, ()))
            for name, places in removal.remaining.items()
            if len(places) != len(by_name.get(name, ()))
        }
        if missing:
            raise Refused(
                f"{len(missing)} rows that this ensemble was trained on are neither among the rows "
                f"to forget nor, as often as they were, among those to keep; give all of them as "
                f"they were"
            )
        return [
            (row, place)
            for name, rows in by_name.items()
            for row, place in zip(rows, removal.remaining[name], strict=True)
        ]


@dataclass(frozen=True)
class Removal:
    """What goes from an index.

    Attributes:
        rows: How many rows go.
        first: Shard -> the first of its slices that held one of them.
        remaining: The index without them.
    """

    rows: int
    first: Mapping[int, int]
    remaining: Mapping[str, tuple[Place, ...]]


def first_slices(places: Iterable[Place]) -> dict[int, int]:
    """Shard -> the smallest slice among its places, by shard."""
    found: dict[int, int] = {}
    for shard, piece in sorted(places):
        found.setdefault(shard, piece)
    return found


@dataclass(frozen=True)
class DeletionPlan:
    """What a deletion, or a first training, will train.

    Attributes:
        removed: Rows that go.
        first: Shard -> the slice from which it is trained again; a shard that is not here stays as
            it is.
        steps: Place -> the optimizer steps that bring a shard to that slice, of all shards.
    """

    removed: int
    first: Mapping[int, int]
    steps: Mapping[Place, int]

    @property
    def again(self) -> list[Place]:
        """The places that are trained, in order."""
        return [
            (shard, piece)
            for shard, piece in sorted(self.steps)
            if shard in self.first and piece >= self.first[shard]
        ]

    @property
    def trained(self) -> int:
        """Optimizer steps that are taken."""
        return sum(self.steps[place] for place in self.again)

    @property
    def whole(self) -> int:
        """Optimizer steps of training all shards anew."""
        return sum(self.steps.values())

    @property
    def share(self) -> float:
        """The steps that are taken over those of training all shards anew: 0 to 1."""
        return self.trained / self.whole if self.whole else 0.0

    def as_json(self) -> dict[str, Any]:
        """Plain data for run.yaml."""
        shards = {shard for shard, _ in self.steps}
        return {
            "removed_rows": self.removed,
            "shards": len(shards),
            "retrained_from_slice": {str(k): v for k, v in sorted(self.first.items())},
            "steps": self.trained,
            "steps_of_all": self.whole,
            "share": round(self.share, 4),
        }
