"""What an adversary does to a model, or to the questions that it is asked, to bring back what was
forgotten.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from expunge.core.stages import Method


@dataclass(frozen=True)
class Holding:
    """The training rows that an adversary has.

    Attributes:
        stream: Which rows: ``forget``, ``retain``, or ``world`` (rows of the user's own).
        share: The share of their groups, from 0 to 1; at least one group.
        rows: At most so many rows of those groups; 0: all of them.
    """

    stream: str = "forget"
    share: float = 1.0
    rows: int = 0


@dataclass(frozen=True)
class Attack:
    """An attack at one strength.

    Its card says what it needs and undoes, and which argument is its strength.

    Exactly one of ``stages`` and ``rewrite`` is given.

    Attributes:
        name: The name of the member.
        stages: What is done to the weights: stages of a Method, which read the rows of ``holds``.
        rewrite: ``question -> questions``, the wordings that are tried besides the plain one, as
            many for every question. Of each row the answer counts that tells most.
        holds: The rows that the adversary trains on; None: he needs none. Forget groups that he
            holds are not asked: he knows them already.
        at: The strength as it stands in a table: a number, or words where it is no scale.
        axis: What the strength counts, in words: ``relearning steps``.
        said: The strength in a sentence: ``after 20 relearning steps``.
    """

    name: str
    stages: Method = ()
    rewrite: Callable[[str], tuple[str, ...]] | None = None
    holds: Holding | None = None
    at: float | str = ""
    axis: str = ""
    said: str = ""

    def __post_init__(self) -> None:
        if bool(self.stages) == (self.rewrite is not None):
            raise ValueError(f"attack {self.name}: give either stages or a rewrite")
