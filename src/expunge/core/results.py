"""What comes out: records, one row per (model, role, id, variant), and the measurements that
metrics make of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from expunge.core.units import too_few

if TYPE_CHECKING:  # numpy is read when numbers are, not when a command only lists members
    import numpy as np

Better = Literal["higher", "lower", "gold"] | float
EMPTY: Mapping[Any, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Measurement:
    """A value with what is needed to believe it, or the reason why there is none.

    ``value`` None means unscored; then ``reason`` says why. ``interval`` is the 95 % interval over
    ``groups`` groups (scoring.bootstrap).
    ``parts``: numbers that the value is made of, or that one must see beside it (a histogram, the
    summands of an aggregate). ``note``: a line that must be read beside the value.
    ``each``: (role, id) -> (number, group) of the rows whose mean the value is, or whose AUC
    between forget and holdout; that two models can be compared row by row. It is not written.
    ``margin``: the difference to another model that is too small to matter (None: not known).
    ``fewest``: the groups of the smallest side, where sides are counted together (forget and
    holdout); 0: ``groups``.
    """

    value: float | None
    n: int = 0
    groups: int = 0
    interval: tuple[float, float] | None = None
    better: Better | None = None
    reason: str | None = None
    parts: Mapping[str, float] = field(default_factory=lambda: EMPTY)
    note: str = field(default="", kw_only=True)
    each: Mapping[tuple[str, str], tuple[float, str]] = field(
        default_factory=lambda: EMPTY, compare=False, repr=False
    )
    margin: float | None = None
    fewest: int = 0

    @property
    def warning(self) -> str:
        """``too few groups`` where the value rests on fewer than FEW_GROUPS of them (of its
        smallest side); else ''.
        """
        if self.value is not None:
            return too_few(self.fewest or self.groups)
        return ""

    def as_json(self) -> dict[str, Any]:
        return {
            "value": self.value,
            "n": self.n,
            "groups": self.groups,
            "interval": list(self.interval) if self.interval else None,
            "better": self.better,
            "margin": self.margin,
            "reason": self.reason,
            **({"note": self.note} if self.note else {}),
            **({"warning": self.warning} if self.warning else {}),
            **({"fewest": self.fewest} if self.fewest else {}),
            **({"parts": dict(self.parts)} if self.parts else {}),
        }


def unscored(reason: str, better: Better | None = None) -> Measurement:
    """No number, and why. Never a stand-in value."""
    return Measurement(value=None, better=better, reason=reason)


@dataclass(frozen=True, slots=True)
class Record:
    """Numbers of one teacher-forced row and of the text generated from its prompt.

    Arrays have one entry per scored token, in nats: ``logp`` the log-probability of the token,
    ``hit`` whether it was the arg-max, ``rank`` its rank (0 = arg-max), ``mean_logp`` and
    ``var_logp`` the mean and variance of log p(v) under p, ``entropy``. An array that no metric
    asked for is None. ``loss`` is the mean negative log-likelihood per scored token; it stands
    alone where a log gives no more. ``given``: per-row values that a log or another model gave, by
    name, and what was counted of the tokens written. ``answer`` and ``generated`` are texts; they
    live in OUT/private only. ``options``: of a question with options the log-probability of each,
    ``right`` which of them is right: variant ``letters/r`` holds the letters with the options shown
    from the r-th on, round and round, in the order shown; variant ``texts`` the options' own texts,
    ``option_tokens`` tokens each, in the order of the data.
    ``prefix``: of a plain text (None: no text) how many of its scored tokens are given when it is
    asked by its beginning, 0 if it is too short; variants ``begun/quarter``, ``begun/half`` and
    ``begun/three_quarters`` hold what was asked (``question``), what stood behind it (``answer``)
    and what was generated, and no numbers of tokens.
    ``unfinished``: ``generated`` stopped at the limit, not by itself. ``question``, ``also``:
    private texts too, the prompt and other right answers. ``observed``: what the observations add
    to an answer's record, by the names of their fields (see the files of
    ``evaluation/observations``): arrays, and tuples of private texts.
    """

    subject: str
    role: str
    id: str
    group: str
    variant: str
    n_tokens: int = 0
    eos: bool = False
    logp: np.ndarray | None = None
    hit: np.ndarray | None = None
    rank: np.ndarray | None = None
    mean_logp: np.ndarray | None = None
    var_logp: np.ndarray | None = None
    entropy: np.ndarray | None = None
    chars: int = 0
    zlib: int = 0
    mean_loss: float | None = None
    answer: str | None = None
    generated: str | None = None
    given: Mapping[str, float] = field(default_factory=lambda: EMPTY)
    options: np.ndarray | None = None
    option_tokens: np.ndarray | None = None
    right: int | None = None
    unfinished: bool | None = None
    question: str | None = None
    also: tuple[str, ...] | None = None
    prefix: int | None = None
    observed: Mapping[str, Any] = field(default_factory=lambda: EMPTY)

    @property
    def loss(self) -> float:
        """Mean negative log-likelihood per scored token in nats, end-of-sequence token included."""
        if self.mean_loss is not None:
            return self.mean_loss
        if self.logp is None:
            raise ValueError(
                f"record {self.role}/{self.id}/{self.variant} holds no log-probabilities"
            )
        import numpy as np

        return float(-np.mean(self.logp, dtype=np.float64))


class Records(Sequence[Record]):
    """The rows of one subject (or of several, see ``only``), found by role and variant."""

    def __init__(self, rows: Iterable[Record] = ()) -> None:
        self._rows = tuple(rows)
        self._index: dict[tuple[str, str], list[Record]] = {}
        for r in self._rows:
            self._index.setdefault((r.role, r.variant), []).append(r)

    def __getitem__(self, i: Any) -> Any:
        return self._rows[i]

    def __len__(self) -> int:
        return len(self._rows)

    def subjects(self) -> list[str]:
        """The subjects, in order of first appearance."""
        return list(dict.fromkeys(r.subject for r in self._rows))

    def only(self, subject: str) -> Records:
        """The rows of one subject."""
        return Records(r for r in self._rows if r.subject == subject)

    def roles(self) -> list[str]:
        """The roles, in order of first appearance."""
        return list(dict.fromkeys(r.role for r in self._rows))

    def of(self, role: str, variant: str = "answer") -> list[Record]:
        """The rows of one role and variant, in order; empty if there are none."""
        return self._index.get((role, variant), [])

    def variants(self, role: str, prefix: str) -> dict[str, list[Record]]:
        """id -> rows whose variant begins with ``prefix`` (``perturbed/``), sorted by variant."""
        found: dict[str, list[Record]] = {}
        for (r, v), rows in sorted(self._index.items()):
            if r == role and v.startswith(prefix):
                for row in rows:
                    found.setdefault(row.id, []).append(row)
        return found


def values(rows: Sequence[Record], name: str, fn: Callable[[Record], float]) -> np.ndarray:
    """One value per row: the one that a log gave under ``name``, else ``fn(row)``. float64 [n]."""
    import numpy as np

    return np.array([r.given[name] if name in r.given else fn(r) for r in rows], dtype=np.float64)
