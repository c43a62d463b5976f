"""What goes in: examples of the user, cases made of them, tokenized rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from expunge.core.results import EMPTY


@dataclass(frozen=True)
class Example:
    """One row of data: a question with its answer, a conversation, or a plain text.

    ``group`` is the natural unit of resampling (author, entity, document). ``role`` is forget,
    retain, holdout, neighbor, or a benchmark's own name. ``variants`` maps a variant's name to its
    text: ``paraphrase`` and ``perturbed/0`` ... are other answers to the same prompt, ``also/0``
    ... other right ones, ``question/...`` are other prompts for the same answer. ``source`` is
    ``file:line``; errors name a row by it, never by its text. ``spans``: the sensitive parts of the
    answer (or of the text), as (first, behind the last) character; none = nothing is marked.
    ``right``: which of ``options`` is right; None: the one that equals ``answer``. ``media``:
    {"prompt_ids", "answer_ids", "vocabulary"} of a row that is given as tokens, or a ``Picture``
    whose class is the answer.
    """

    id: str
    role: str
    group: str
    answer: str = ""
    prompt: str | None = None
    messages: tuple[Mapping[str, Any], ...] | None = None
    text: str | None = None
    variants: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    options: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    source: str = ""
    media: Any = None
    spans: tuple[tuple[int, int], ...] = ()
    right: int | None = None


Examples = tuple[Example, ...]


@dataclass(frozen=True)
class Picture:
    """The pixels of an image: bytes 0 to 255, row by row from the top left, the channels of a
    pixel together.
    """

    height: int
    width: int
    channels: int
    data: bytes

    def __post_init__(self) -> None:
        if len(self.data) != self.height * self.width * self.channels or not self.data:
            raise ValueError(
                f"a picture of {self.height} x {self.width} x {self.channels} has as many bytes, "
                f"not {len(self.data)}"
            )


@dataclass(frozen=True)
class Case:
    """What is trained on and what is asked: role -> Examples.

    The two may differ (TOFU evaluates 400 of 3600 retain rows).
    """

    train: Mapping[str, Examples]
    evaluate: Mapping[str, Examples]


@dataclass(frozen=True)
class Row:
    """A tokenized Example (or one variant of it): ids, and which of them are scored.

    ``scored[i]`` says that token i is predicted and counted (answer tokens and the end-of-sequence
    token that closes the answer; never the first token of the row). ``n_prompt`` tokens come before
    the answer. ``eos``: the last scored token is the end-of-sequence token. ``labels``: what each
    position should say where that is not the token that stands there (random labels, a refusal
    pattern); the model still reads ``ids``. ``weights``: a factor per token for terms that read
    LossInputs.weight. ``media``: the picture of a row whose one scored token is a class.
    """

    id: str
    role: str
    group: str
    variant: str
    ids: tuple[int, ...]
    scored: tuple[bool, ...]
    n_prompt: int
    eos: bool
    text: str = ""
    source: str = ""
    labels: tuple[int, ...] = ()
    weights: tuple[float, ...] = ()
    media: Picture | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def answer_ids(self) -> tuple[int, ...]:
        """The scored tokens, in order."""
        return tuple(t for t, s in zip(self.ids, self.scored, strict=True) if s)

    def scored_positions(self, span: str) -> list[int]:
        """Positions whose tokens are scored.

        Args:
            span: ``answer`` is what the row scores itself, ``all`` every token but the first.
        """
        if span == "all":
            return list(range(1, len(self)))
        return [i for i, scored in enumerate(self.scored) if scored]
