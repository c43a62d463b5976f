"""ImageClassifier: a Hugging Face image classifier, with how it reads pictures."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from expunge.core.data import Example, Picture, Row
from expunge.core.errors import Failed, Refused, listed, nearest
from expunge.models.base import Capability, Outputs, Sampling, Scored
from expunge.models.batching import table_of
from expunge.models.image_classifier.pixels import Reading, pixels_of
from expunge.models.torch_model import TorchModel

IMAGE_CLASSIFIER: frozenset[Capability] = frozenset({"score", "gradient", "hidden", "weights"})
TITLE = "image classifier"
AT_ONCE = 256  # pictures of one forward when rows are scored
ROW_IDS = 2  # of a row of a picture: a place that stands for the picture, and its class


@dataclass(frozen=True)
class Pictures:
    """A batch of pictures (``models.base.Batch``); each has one scored position, its class."""

    rows: tuple[Row, ...]
    pixels: Tensor
    labels: Tensor

    @property
    def at(self) -> tuple[Tensor, Tensor]:
        """(row, slot) of each scored position: the only slot of each row."""
        rows = torch.arange(len(self.rows), device=self.labels.device)
        return rows, torch.zeros_like(rows)

    def to(self, device: torch.device) -> Pictures:
        """The same batch on a device."""
        return Pictures(self.rows, self.pixels.to(device), self.labels.to(device))

    def table(self, x: Tensor) -> Tensor:
        """Values [N, ...] -> [N, 1, ...]."""
        return table_of(x, self.at, len(self.rows))


@dataclass
class ImageClassifier(TorchModel):
    """A classifier of pictures; a row is one scored position, whose label is the class.

    ``reading`` says how pixels become the numbers that the model was trained on; the rest is as of
    ``TorchModel``.
    """

    reading: Reading = field(default_factory=Reading)
    source: str = ""
    folder: Path | None = None
    digest: str = ""
    capabilities: frozenset[Capability] = IMAGE_CLASSIFIER

    # ------------------------------------------------------------------ what it is

    @property
    def family(self) -> str:
        return "image_classifier"

    @property
    def classes(self) -> dict[str, int]:
        """The number of each class, by name."""
        return {str(name): int(i) for name, i in self.model.config.label2id.items()}

    @property
    def vocab(self) -> int:
        """How many classes there are."""
        return int(self.model.config.num_labels)

    @property
    def window(self) -> int | None:
        """Pictures have no length."""
        return None

    @property
    def eos_ids(self) -> tuple[int, ...]:
        """Nothing ends a class."""
        return ()

    @property
    def left_behind(self) -> str:
        """Every tensor of the checkpoint is in the model."""
        return ""

    @property
    def depth(self) -> int:
        """How many blocks there are: layers of a transformer, stages of a convolutional network."""
        return len(blocks(self.model))

    @property
    def anatomy(self) -> Any:
        """Image classifiers have no sites that edits can name.

        Raises:
            Refused: always.
        """
        raise self.cannot("let edits look into blocks of a language model")

    def decided(self) -> str:
        """sha256 over what besides the weights decides its answers."""
        config = {k: v for k, v in self.model.config.to_dict().items() if k not in UNTOLD}
        types = sorted({str(p.dtype) for p in self.model.parameters()})
        facts = [type(self.model).__name__, self.device.type, types, config, vars(self.reading)]
        return sha256(json.dumps(facts, default=str, sort_keys=True).encode()).hexdigest()

    def cannot(self, what: str) -> Refused:
        """The refusal of something that classifiers of pictures do not do."""
        return Refused(
            f"{self.source or 'this model'} is an {TITLE}, and an {TITLE} does not {what}; take a "
            f"method or a metric that asks for classes alone"
        )

    def restore(self, folder: Path) -> None:
        """Take the weights of a checkpoint: transformers writes some of them under other names,
        which only its own reading turns back.
        """
        saved = type(self.model).from_pretrained(folder, use_safetensors=True, dtype=self.dtype)
        self.model.load_state_dict(saved.state_dict())

    # ------------------------------------------------------------------ rows

    def encode(
        self,
        examples: Sequence[Example],
        *,
        max_length: int = 512,
        variants: Sequence[str] = ("answer",),
    ) -> list[Row]:
        """A row for each picture: its class is scored.

        Args:
            examples: Pictures with the name of their class as answer.
            max_length: Unused: a picture has no length.
            variants: Only ``answer`` exists of a picture.

        Raises:
            Refused: An example is no picture, or its class is none of the model's.
        """
        if "answer" not in variants:
            return []
        classes = self.classes
        return [self._row(e, classes) for e in examples]

    def _row(self, e: Example, classes: dict[str, int]) -> Row:
        where = e.source or e.id
        if not isinstance(e.media, Picture):
            raise Refused(
                f"{where} is a text, and {self.source or 'this model'} is an {TITLE}; take a "
                f"language model, or a benchmark of pictures (digits)"
            )
        if e.answer not in classes:
            near = nearest(e.answer, classes)
            hint = f"did you mean {near}?" if near else f"its classes are {listed(classes, 12)}"
            raise Refused(f"{where}: the model has no class {e.answer!r}; {hint}")
        return Row(
            e.id,
            e.role,
            e.group,
            "answer",
            (0, classes[e.answer]),
            (False, True),
            1,
            False,
            text=e.answer,
            source=e.source,
            media=e.media,
        )

    def encode_options(
        self, examples: Sequence[Example], *, letters: bool, max_length: int
    ) -> list[Row]:
        """Pictures have no options but the classes, which are scored all at once."""
        raise self.cannot("read options")

    def prompt_of(self, example: Example, *, max_length: int = 0) -> list[int]:
        """Nothing is generated from a picture."""
        raise self.cannot("write")

    def decode(self, ids: Sequence[int]) -> str:
        """The names of classes."""
        names = {i: name for name, i in self.classes.items()}
        return " ".join(names[i] for i in ids)

    def ids_with_controls(self, texts: Sequence[str]) -> list[list[int]]:
        """No text is written, so none is read again."""
        if texts:
            raise self.cannot("read texts")
        return []

    def ids_of(self, text: str) -> list[int]:
        """No text is read."""
        raise self.cannot("read texts")

    def shortened(self, text: str, n: int) -> str:
        """The name of a class is not cut."""
        return text

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
        """Nothing for no prefix.

        Raises:
            Refused: something is to be written.
        """
        if prefixes:
            raise self.cannot("write")
        return []

    def room(self, examples: Sequence[Example], max_length: int) -> int:
        """A picture is read whole."""
        return max_length

    def check_rows(self, rows: Sequence[Row]) -> None:
        """Every picture can be read: it is made as large as the model wants it."""

    def words(self) -> list[int]:
        """The classes: one of them may stand in place of another."""
        return list(range(self.vocab))

    def pack(self, rows: Sequence[Row], spans: Sequence[str] | None = None) -> Pictures:
        """Rows as one batch on the model's device. Both spans are the class."""
        pictures = [row.media for row in rows if row.media is not None]
        if len(pictures) < len(rows):
            raise self.cannot("read rows without a picture")
        pixels = pixels_of(pictures, self.reading)
        labels = [(row.labels or row.ids)[-1] for row in rows]
        numbers = torch.tensor(labels, dtype=torch.long)
        return Pictures(tuple(rows), pixels.to(self.dtype), numbers).to(self.device)

    def forward(
        self,
        batch: Pictures,
        *,
        want_logits: bool = True,
        keep_last: bool = False,
        layers: Sequence[int] = (),
    ) -> Outputs:
        """One forward of a batch; gradients flow.

        Args:
            batch: What ``pack`` made.
            want_logits: Without, logits are left out of what comes back.
            keep_last: Keep what the last linear layer is given, [N, D].
            layers: Blocks whose outputs are kept, [N, D]: the class token of a transformer, the
                mean over places of a convolution.
        """
        hidden: dict[int, Tensor] = {}
        last: list[Tensor] = []
        with ExitStack() as stack:
            for layer in layers:

                def keep(_module: Any, _args: Any, out: Any, layer: int = layer) -> None:
                    hidden[layer] = summary(out[0] if isinstance(out, tuple) else out)

                stack.callback(blocks(self.model)[layer].register_forward_hook(keep).remove)

            def take(_module: Any, args: tuple[Tensor, ...]) -> None:
                last.append(args[0])

            if keep_last:
                stack.callback(output_layer(self.model).register_forward_pre_hook(take).remove)
            logits = self.model(pixel_values=batch.pixels).logits
        return Outputs(logits if want_logits else None, last[0] if keep_last else None, hidden)

    def predict(self, rows: Sequence[Row], *, span: str = "answer") -> tuple[Pictures, Tensor]:
        """The batch of some rows and the logits [N, classes], without gradient."""
        batch = self.pack(rows)
        with self.evaluating():
            logits = self.forward(batch).logits
        assert logits is not None
        return batch, logits

    def scored(self, rows: Sequence[Row]) -> Iterator[Scored]:
        """The logits of rows, each once, in batches; to be driven within ``evaluating()``."""
        for first in range(0, len(rows), AT_ONCE):
            batch = self.pack(rows[first : first + AT_ONCE])
            logits = self.forward(batch).logits
            assert logits is not None
            yield Scored(batch.rows, batch.labels, logits, 0)  # pictures have no tokens

    def head(self, rows: Sequence[Row]) -> Callable[[Tensor], Tensor]:
        """A frozen copy of the last linear layer, tried on some rows.

        Raises:
            Failed: something is done to its logits.
        """
        layer = output_layer(self.model)
        copy = nn.Linear(layer.in_features, layer.out_features, layer.bias is not None)
        copy.load_state_dict({n: p.detach().clone() for n, p in layer.state_dict().items()})
        copy.to(self.device, self.dtype).requires_grad_(False)
        with self.evaluating():
            out = self.forward(self.pack(list(rows)[:2]), keep_last=True)
            assert out.logits is not None and out.last is not None
            if not torch.allclose(copy(out.last), out.logits, rtol=1e-2, atol=1e-2):
                raise Failed("this classifier does more to its logits than its last layer makes")
        return copy


# of a configuration, what decides nothing
UNTOLD = ("_name_or_path", "name_or_path", "transformers_version", "dtype", "torch_dtype")


def blocks(model: Any) -> nn.ModuleList:
    """The blocks, in order: the longest list of modules that is not inside another list's module.

    Raises:
        Refused: there is none.
    """
    lists: list[tuple[str, nn.ModuleList]] = []
    for name, module in model.named_modules():
        inside = any(name.startswith(f"{outer}.") for outer, _ in lists)
        if isinstance(module, nn.ModuleList) and len(module) and not inside:
            lists.append((name, module))
    if not lists:
        raise Refused(f"a {type(model).__name__} has no list of blocks, so no layer can be named")
    return max((module for _, module in lists), key=len)


def output_layer(model: Any) -> nn.Linear:
    """The linear layer that makes the logits.

    Raises:
        Failed: the model's head has none.
    """
    head = getattr(model, "classifier", None)
    found = [m for m in head.modules() if isinstance(m, nn.Linear)] if head is not None else []
    if not found:
        raise Failed(f"a {type(model).__name__} has no linear layer that makes its logits")
    return found[-1]


def summary(states: Tensor) -> Tensor:
    """One row for each picture: the class token of [N, T, D], the mean over places of [N, D, H, W]."""
    return states.mean((2, 3)) if states.dim() == 4 else states[:, 0]
