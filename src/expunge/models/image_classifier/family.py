"""Image classifiers as a family (``models.base.Family``)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn

from expunge.core.data import Example, Picture
from expunge.core.errors import Failed, Refused, listed, out_of_memory
from expunge.core.files import write_json
from expunge.models.base import Capability
from expunge.models.checkpoint import (
    check_files,
    device_of,
    dtype_of,
    first_line,
    model_folder,
)
from expunge.models.deciding import digest_plain
from expunge.models.image_classifier import tiny
from expunge.models.image_classifier.model import IMAGE_CLASSIFIER, TITLE, ImageClassifier
from expunge.models.image_classifier.pixels import FILE, reading_of
from expunge.models.quiet import quiet
from expunge.models.saving import saved_whole

ARCHITECTURE = "ForImageClassification"


@dataclass(frozen=True)
class ImageClassifiers:
    """Classifiers of pictures from Hugging Face folders (ViT, ResNet and the like)."""

    name: str = "image_classifier"
    title: str = f"an {TITLE}"
    capabilities: frozenset[Capability] = IMAGE_CLASSIFIER
    lr: float = tiny.LR

    def reads(self, settings: Mapping[str, Any]) -> bool:
        """Whether config.json names an architecture that classifies images."""
        found = settings.get("architectures")
        return isinstance(found, list) and any(str(n).endswith(ARCHITECTURE) for n in found)

    def holds(self, examples: Sequence[Example]) -> bool:
        """Whether rows are of this family: pictures."""
        return any(isinstance(e.media, Picture) for e in examples)

    def load(
        self, source: str | Path, *, dtype: str, device: str, trust_remote_code: bool
    ) -> ImageClassifier:
        """A classifier from a local folder.

        Raises:
            Refused: Pickled, broken or altered weights; tensors missing, left over or of another
                shape; settings that cannot be read.
        """
        quiet()
        place = model_folder(Path(source))
        where = device_of(device)
        check_files(place)
        model = _read(place, dtype_of(dtype, where))
        hold_batch_norms(model)
        reading = reading_of(place, model.config)
        model = model.to(where).eval()
        return ImageClassifier(model, reading, str(source), place, digest_plain(place))

    def save(self, model: ImageClassifier, folder: Path, card: str) -> Path:
        """Write a plain Hugging Face folder beside its place and move it in when it is whole.

        Raises:
            Failed: It cannot be written, or is not the model when it is read again; nothing
                half-written is left.
        """
        quiet()
        folder = Path(folder)
        with saved_whole(folder, card) as place:
            model.model.save_pretrained(place, safe_serialization=True)
            write_json(place / FILE, model.reading.as_json())
            _check_saved(model, place, folder)
        return folder

    def fresh(self, examples: Sequence[Example], own: Sequence[Example], seed: int) -> Any:
        """A tiny classifier for these pictures."""
        return tiny.build(examples, seed)

    def said_by(self, model: ImageClassifier) -> Any:
        """The number of each class, by name."""
        return model.classes

    def said_at(self, source: str, trust_remote_code: bool) -> Any:
        """The number of each class, by name."""
        settings = json.loads((model_folder(Path(source)) / "config.json").read_text())
        return {str(name): int(i) for name, i in settings.get("label2id", {}).items()}

    def check_alike(self, name: str, one: Any, other: str, another: Any) -> None:
        """Refuse two classifiers whose classes differ."""
        if one != another:
            raise Refused(
                f"{other} has other classes than {name}: what they say of a picture cannot be "
                f"compared; train the other one on the same classes, or leave it away"
            )


class HeldBatchNorm2d(nn.BatchNorm2d):
    """A batch norm whose statistics stand still: what is said of a picture does not depend on the
    pictures beside it, in training neither.
    """

    def train(self, mode: bool = True) -> HeldBatchNorm2d:
        """Stays in evaluation mode."""
        return super().train(False)


def hold_batch_norms(model: nn.Module) -> None:
    """Let every batch norm of a model keep the statistics that it came with; in place."""
    for module in model.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = HeldBatchNorm2d


def _read(place: Path, dtype: Any) -> Any:
    """transformers' reading of a folder; Refused where it fails or lets tensors fall."""
    try:
        model, report = transformers.AutoModelForImageClassification.from_pretrained(
            place,
            dtype=dtype,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except Exception as error:  # a settings file of the wrong type can break any line of it
        if out_of_memory(error):
            raise MemoryError from None
        raise Refused(f"{place}: no model can be read here ({first_line(error)})") from None
    lost = [
        *report["missing_keys"],
        *report["unexpected_keys"],
        *(str(k[0]) for k in report["mismatched_keys"]),
    ]
    if lost:
        raise Refused(
            f"{place}: weights do not fit the architecture; missing, unexpected or misshapen: "
            f"{listed(sorted(lost), 6)}"
        )
    return model


def _check_saved(model: ImageClassifier, place: Path, home: Path) -> None:
    """Read what was written again, on the CPU, and hold every tensor against the model's own."""
    again = _read(place, "auto").state_dict()
    for name, value in model.model.state_dict().items():
        kept = again.get(name)
        if kept is None or not torch.equal(kept, value.detach().cpu()):
            raise Failed(f"{home}: what was written is not the model ({name} differs); run again")
