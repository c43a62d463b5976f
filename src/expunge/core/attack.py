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
class Decoding:
    """Answers that are drawn in place of the likeliest one.

    Attributes:
        samples: How many the adversary draws of each question; the one that tells most counts.
        drawn: How many are drawn to estimate what that one tells; at least ``samples``.
        temperature: Logits are divided by it; above 0.
        top_p: Only the likeliest tokens that together reach this probability are drawn.
    """

    samples: int
    drawn: int
    temperature: float = 1.0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        if not 1 <= self.samples <= self.drawn:
            raise ValueError(f"the best of {self.samples} cannot be estimated from {self.drawn}")


@dataclass(frozen=True)
class Attack:
    """An attack at one strength.

    Its card says what it needs and undoes, and which argument is its strength.

    Exactly one of ``stages``, ``rewrite`` and ``decode`` is given.

    Attributes:
        name: The name of the member.
        stages: What is done to the weights: stages of a Method, which read the rows of ``holds``.
        rewrite: ``question -> questions``, the wordings that are tried besides the plain one, as
            many for every question. Of each row the answer counts that tells most.
        decode: How answers are drawn; metrics of what is written read them.
        holds: The rows that the adversary trains on; None: he needs none. Forget groups that he
            holds are not asked: he knows them already.
        at: The strength as it stands in a table: a number, or words where it is no scale.
        axis: What the strength counts, in words: ``relearning steps``.
        said: The strength in a sentence: ``after 20 relearning steps``.
    """

    name: str
    stages: Method = ()
    rewrite: Callable[[str], tuple[str, ...]] | None = None
    decode: Decoding | None = None
    holds: Holding | None = None
    at: float | str = ""
    axis: str = ""
    said: str = ""

    def __post_init__(self) -> None:
        given = (bool(self.stages), self.rewrite is not None, self.decode is not None)
        if sum(given) != 1:
            raise ValueError(f"attack {self.name}: give one of stages, rewrite and decode")
