"""What every model is to the rest of the program, whatever it is made of: it reads rows, says how
likely they are, and may write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, Self

import torch
from torch import Tensor

from expunge.core.data import Example, Row
from expunge.core.stages import Adapter

# what a model can do: say how likely an answer is, write, go on with a text that is given back to
# it, let gradients through, show the outputs of its blocks, show its weights, read texts, carry a
# low-rank adapter
Capability = Literal[
    "score", "generate", "continue", "gradient", "hidden", "weights", "text", "adapter"
]
LANGUAGE_MODEL: frozenset[Capability] = frozenset(
    {"score", "generate", "continue", "gradient", "hidden", "weights", "text", "adapter"}
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


@dataclass(frozen=True)
class Outputs:
    """What one forward of a batch gives.

    ``logits`` [N, V] that predict the scored tokens; ``last`` [N, D] what the head was given;
    ``hidden[l]`` [N, D] the output of block l at the scored tokens' own positions.
    """

    logits: Tensor | None = None
    last: Tensor | None = None
    hidden: dict[int, Tensor] = field(default_factory=dict)


class Batch(Protocol):
    """Rows laid out for one forward.

    ``at = (row, slot)``: of each of the N scored tokens its place in a table [B, T]; ``labels``
    [N]: what should be said there.
    """

    @property
    def rows(self) -> tuple[Row, ...]: ...

    @property
    def at(self) -> tuple[Tensor, Tensor]: ...

    @property
    def labels(self) -> Tensor: ...

    def to(self, device: torch.device) -> Any:
        """The same batch on a device."""
        ...

    def table(self, x: Tensor) -> Tensor:
        """Values of the scored tokens [N, ...] -> [B, T, ...], zero where a row has no such token."""
        ...


class Site(Protocol):
    """A place inside a block whose states can be read."""

    @property
    def layer(self) -> int:
        """The number of the block."""
        ...


class Anatomy(Protocol):
    """The parts of a model that edits look into. A site is a place whose states can be read."""

    def sites(self, kind: Any) -> tuple[Any, ...]:
        """The sites of a kind in every block, in order."""
        ...

    def matrix_name(self, site: Any) -> str:
        """The name of the weight matrix that reads a key."""
        ...

    def check(self, site: Any) -> None:
        """Refuse a site that the model has not."""
        ...

    def read(
        self, rows: Sequence[Row], sites: Sequence[Any], positions: Callable[[Row], Sequence[int]]
    ) -> tuple[Tensor, dict[Any, Tensor]]:
        """What sites hold for some rows.

        Args:
            rows: They go through the model together, no higher than the highest of the sites.
            sites: One or several.
            positions: At which positions of a row the sites are read.

        Returns:
            To which row each state belongs [N], and site -> states [N, D].
        """
        ...

    def mlp_weights(self) -> list[frozenset[str]]:
        """Of each block, in order, the names of the weights of its MLP."""
        ...

    def mlp_effects(self, rows: Sequence[Row], seed: int) -> Tensor:
        """How much of the answers each block's MLP alone gives back: [blocks]."""
        ...

    def added(self, site: Any, at: Sequence[int], vector: Tensor) -> AbstractContextManager[None]:
        """Within it, ``vector`` [D] is added to what a site holds at these positions of a row that
        is alone in its batch.
        """
        ...


class TrainableModel(Protocol):
    """A model whose weights are in memory: what training, edits and attacks do with one.

    Every family's model satisfies it (``Family``); methods of it that a family cannot carry out
    refuse in one line.
    """

    source: str
    folder: Path | None
    digest: str
    capabilities: frozenset[Capability]

    @property
    def family(self) -> str:
        """The name of its family."""
        ...

    @property
    def module(self) -> torch.nn.Module:
        """The torch module itself, for the training loop, which moves its weights."""
        ...

    @property
    def device(self) -> torch.device: ...

    @property
    def depth(self) -> int:
        """How many blocks there are; layers are counted from 0."""
        ...

    @property
    def vocab(self) -> int:
        """How many things can be said at a scored position: tokens of a vocabulary, classes."""
        ...

    @property
    def left_behind(self) -> str:
        """What of the checkpoint is not in the model, in words; "" if all of it is."""
        ...

    def decided(self) -> str:
        """sha256 over what besides the weights decides its answers."""
        ...

    @property
    def anatomy(self) -> Anatomy:
        """Its sites.

        Raises:
            Refused: models of this family have none.
        """
        ...

    # ------------------------------------------------------------------ rows

    def encode(
        self,
        examples: Sequence[Example],
        *,
        max_length: int = 512,
        variants: Sequence[str] = ("answer",),
    ) -> list[Row]:
        """Examples as this model reads them, in order."""
        ...

    def room(self, examples: Sequence[Example], max_length: int) -> int:
        """``max_length``, or how much of a text the model reads at once if that is less."""
        ...

    def check_rows(self, rows: Sequence[Row]) -> None:
        """Refuse rows that are longer than the model can read."""
        ...

    def words(self) -> list[int]:
        """What may stand in place of another label: words of the vocabulary, classes."""
        ...

    def pack(self, rows: Sequence[Row], spans: Sequence[str] | None = None) -> Any:
        """Rows as one ``Batch`` on the model's device; a span is ``answer`` or ``all``."""
        ...

    def forward(
        self,
        batch: Any,
        *,
        want_logits: bool = True,
        keep_last: bool = False,
        layers: Sequence[int] = (),
    ) -> Outputs:
        """One forward of a batch; gradients flow."""
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
        """See ``Model``; refused without the capability."""
        ...

    def predict(self, rows: Sequence[Row], *, span: str = "answer") -> tuple[Any, Tensor]:
        """The batch of some rows and the logits [N, V] of its scored tokens, without gradient."""
        ...

    def head(self, rows: Sequence[Row]) -> Callable[[Tensor], Tensor]:
        """A frozen copy of what makes logits of ``Outputs.last``, tried on some rows.

        Raises:
            Failed: it is more than a function of them.
        """
        ...

    # ------------------------------------------------------------------ weights

    def evaluating(self) -> AbstractContextManager[Any]:
        """A context without gradients and dropout; the modes of before come back after it."""
        ...

    def weights(self) -> dict[str, Tensor]:
        """Every weight by name, detached and sharing memory."""
        ...

    def trained(self) -> dict[str, Tensor]:
        """The weights that an optimizer moves, by name."""
        ...

    def select(self, pattern: str) -> None:
        """Train only the weights whose name matches; '' leaves all as they are."""
        ...

    def fingerprint(self) -> str:
        """sha256 over names and values of every weight as it is now."""
        ...

    def copy(self) -> Self:
        """A model with weights of its own, which are the same."""
        ...

    def without_origin(self) -> Self:
        """The same weights, which are about to change: no folder and no digest are theirs."""
        ...

    def restore(self, folder: Path) -> None:
        """Take the weights of a checkpoint that the training loop left, where reading its names as
        they stand does not do.
        """
        ...

    def changed_from(self, folder: Path | None) -> Iterator[tuple[Tensor, Tensor]]:
        """(before, after) of the weights that a folder keeps and those of now."""
        ...

    # ------------------------------------------------------------------ adapters

    @property
    def adapter(self) -> Adapter | None:
        """The adapter that the model came with; None of a plain model."""
        ...

    def adaptable(self, targets: str) -> list[str]:
        """The modules whose name matches, for an adapter to sit on; none for ''.

        Raises:
            Refused: none matches, or models of this family take no adapter.
        """
        ...

    def attach(self, adapter: Adapter, targets: Sequence[str], seed: int) -> None:
        """Put a fresh adapter on the model, in place; the rest of the weights stands still."""
        ...

    def go_on(self, pattern: str) -> None:
        """Train the adapter that the model came with."""
        ...

    def merge(self) -> None:
        """Fold the adapter into the weights, all of which may be trained again; in place."""
        ...


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


class Family(Protocol):
    """One kind of model: how it is told, loaded and saved.

    ``name`` is that of its folder here, ``title`` what users call such a model: ``a ...``.
    """

    @property
    def name(self) -> str: ...

    @property
    def title(self) -> str: ...

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What models of the family can do."""
        ...

    @property
    def lr(self) -> float:
        """The learning rate with which a fresh model learns, unless another is asked for."""
        ...

    def holds(self, examples: Sequence[Example]) -> bool:
        """Whether models of the family read such rows."""
        ...

    def fresh(self, examples: Sequence[Example], own: Sequence[Example], seed: int) -> Any:
        """A tiny new model for some rows.

        Args:
            examples: Every row of the case.
            own: Those of which words may become known by themselves (a tokenizer's).
            seed: Of its weights.
        """
        ...

    def said_by(self, model: Any) -> Any:
        """What two models of the family must share to be compared: a tokenizer, classes."""
        ...

    def said_at(self, source: str, trust_remote_code: bool) -> Any:
        """The same of a folder or a hub id, without its weights."""
        ...

    def check_alike(self, name: str, one: Any, other: str, another: Any) -> None:
        """Refuse two models that do not share it; ``name`` and ``other`` stand in the message."""
        ...

    def reads(self, settings: Mapping[str, Any]) -> bool:
        """Whether a folder with this config.json holds a model of the family."""
        ...

    def load(self, source: str | Path, *, dtype: str, device: str, trust_remote_code: bool) -> Any:
        """A model from a folder or a hub id; every tensor accounted for."""
        ...

    def save(self, model: Any, folder: Path, card: str) -> Path:
        """Write the model's folder, whole or not at all; ``card`` becomes README.md."""
        ...
