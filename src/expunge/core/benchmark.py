"""A benchmark: its case, the metrics that judge it, and the numbers that were published for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from expunge.core.data import Case
from expunge.core.results import EMPTY


@dataclass(frozen=True)
class Published:
    """What others measured on a benchmark, and how.

    ``numbers``: label -> {measurement key: value}. ``protocol``: whose prompts, rows and scores
    they are, in one line. ``subset``: the subset of the benchmark that asks and scores so ("": it
    does without one).
    """

    numbers: Mapping[str, Mapping[str, float]]
    protocol: str
    subset: str = ""

    def beside(self, subset: str, *, rows: bool = True) -> Mapping[str, Mapping[str, float]]:
        """Numbers that may be compared with those of a run; none if it follows another protocol.

        ``rows``: its rows are theirs.
        """
        return self.numbers if rows and subset == self.subset else EMPTY


@dataclass(frozen=True)
class Benchmark:
    """A case, the metrics that judge it and the numbers that were published for it.

    ``metrics``: (metric name, role or None) in the order of the table; ``arguments``: metric name,
    or role/metric where the roles differ, -> its arguments here. ``published``: label ->
    {measurement key: value}, only where this run follows the protocol that they belong to (see
    ``Published``). ``settings``: training settings for ``expunge train``.
    ``generate``: how answers are written: ``max_new_tokens``; ``roles``: role -> its own number of
    tokens; ``cut``: roles whose answer counts only as far as the model may write; ``max_length``:
    rows are that long at least. ``stages``: requests that come one by one, name -> the Case of
    each; what it asks is part of what ``case`` asks. ``begin``: what each stage starts from, the
    model that the stage before it left (sequential requests) or the original (folds that grow).
    ``absent``: what is left out, a role or a part of one, -> why: its rows are not at hand, or
    cannot be asked.
    """

    name: str
    case: Case
    metrics: Sequence[tuple[str, str | None]]
    arguments: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: EMPTY)
    published: Mapping[str, Mapping[str, float]] = field(default_factory=lambda: EMPTY)
    settings: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    generate: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    stages: Mapping[str, Case] = field(default_factory=lambda: EMPTY)
    begin: Literal["last", "original"] = "last"
    absent: Mapping[str, str] = field(default_factory=lambda: EMPTY)
