"""What every model is to the rest of the program, whatever it is made of: it reads rows, says how
likely they are, and may write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from torch import Tensor

from expunge.core.data import Example, Row

Capability = Literal["score", "generate", "gradient", "hidden", "weights"]
LANGUAGE_MODEL: frozenset[Capability] = frozenset(
    {"score", "generate", "gradient", "hidden", "weights"}
)


@dataclass(frozen=True)
class Sampling:
    """How texts are drawn.

    Args:
        seeds: One for each prompt; a prompt's draw depends on its own seed alone.
        temperature: Logits are divided by it; above 0.
        top_p: Only the likeliest tokens that together reach this probability are drawn; (0, 1].
    """

    seeds: Sequence[str]
    temperature: float = 1.0
    top_p: float = 1.0


@dataclass(frozen=True)
class Scored:
    """What a model says of the scored tokens of some rows.

    Attributes:
        rows: The rows; their scored tokens follow each other in this order.
        labels: [N], the tokens that are scored.
        logits: [N, V], what predicts them.
        tokens: How many tokens the model has read for it.
    """

    rows: tuple[Row, ...]
    labels: Tensor
    logits: Tensor
    tokens: int


class Model(Protocol):
    """A model with what it needs to read examples.

    ``source`` is what the user named, ``folder`` the local folder if there is one, ``digest`` a
    sha256 that decides whether two models are the same. ``capabilities`` says which of the
    methods below work: an API model generates only.
    """

    source: str
    folder: Path | None
    digest: str

    capabilities: frozenset[Capability]

    @property
    def window(self) -> int | None:
        """How many tokens it reads at most; None if nothing says so."""
        ...

    def encode(
        self,
        examples: Sequence[Example],
        *,
        max_length: int = 512,
        variants: Sequence[str] = ("answer",),
    ) -> list[Row]:
        """Examples as this model reads them, in order."""
        ...

    def scored(self, rows: Sequence[Row]) -> Iterator[Scored]:
        """What it says of rows that it encoded, each once, in batches of bounded size; to be driven
        within ``evaluating()``.
        """
        ...

    def evaluating(self) -> AbstractContextManager[Any]:
        """A context without gradients and dropout."""
        ...

    def prompt_of(self, example: Example, *, max_length: int) -> Sequence[int]:
        """What generation starts from for an example."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """The text of generated ids, without control tokens."""
        ...

    def generate(
        self,
        prefixes: Sequence[Sequence[int]],
        budgets: Sequence[int],
        *,
        sampling: Sampling | None = None,
        ends: Sequence[int] | None = None,
        batch: int = 128,
        tick: Callable[[int], None] | None = None,
    ) -> list[list[int]]:
        """A continuation of every prefix: greedy, or drawn as ``sampling`` says."""
        ...
