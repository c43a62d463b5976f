"""What a model's folder says of itself: adapter or whole model, quantized or not, its base, and
where its tokenizer lies.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from expunge.core.errors import Refused
from expunge.core.files import write_json
from expunge.core.notes import note

ADAPTER_SETTINGS, ADAPTER_WEIGHTS, BASE = (
    "adapter_config.json",
    "adapter_model.safetensors",
    "base.json",
)
WORDS = (
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
    "vocab.txt",
    "spiece.model",
)
LEVELS = 4  # how many folders above an adapter's own a relative base is looked for


def is_adapter(place: Path) -> bool:
    """Whether a folder holds an adapter.

    Beside config.json and whole weights, an adapter's settings are a left-over of a merge.
    """
    if not (place / ADAPTER_SETTINGS).exists():
        return False
    own = {file.name for file in place.glob("*.safetensors")} - {ADAPTER_WEIGHTS}
    return not ((place / "config.json").exists() and own)


@contextmanager
def whole_model(place: Path) -> Iterator[Path]:
    """The folder to read a whole model from: without the adapter's files that a merge left in it,
    which transformers would put on top.
    """
    if not (place / ADAPTER_SETTINGS).exists():
        yield place
        return
    note(f"{place}: a whole model; the adapter's files that lie beside it are left aside")
    with TemporaryDirectory(prefix="expunge-") as made:
        for file in place.iterdir():
            if not file.name.startswith("adapter_"):
                (Path(made) / file.name).symlink_to(file)
        yield Path(made)


def adapter_settings(place: Path) -> dict[str, Any]:
    """adapter_config.json. Refused if it is not a mapping."""
    try:
        found = json.loads((place / ADAPTER_SETTINGS).read_bytes())
    except (OSError, ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Refused(
            f"{place}/{ADAPTER_SETTINGS}: not an adapter's settings; copy the folder again"
        )
    return found


def base_of(place: Path) -> str:
    """The base model of an adapter's folder: a folder that is there, or the name of a hub model.

    A path that is no longer there is looked for where it lay as seen from the adapter, and a
    relative one beside the adapter's own folder before the working directory. What was recorded as
    a folder is never asked of a hub.
    """
    name = str(adapter_settings(place).get("base_model_name_or_path") or "")
    if not name:
        raise Refused(f"{place}: {ADAPTER_SETTINGS} names no base model")
    recorded = base_record(place)
    if recorded.get("base") != name:
        recorded = {}  # somebody has named another base since
    candidates = [Path(name)] if Path(name).is_absolute() else []
    if recorded.get("beside"):
        candidates.append(place.resolve() / str(recorded["beside"]))
    if not Path(name).is_absolute():
        candidates += [folder / name for folder in place.resolve().parents[:LEVELS]]
        candidates.append(Path(name))
    for folder in candidates:
        if folder.is_dir():
            return str(folder.resolve())
    if (
        Path(name).is_absolute()
        or recorded.get("beside")
        or name.count("/") != 1
        or name.startswith(".")
    ):
        raise Refused(
            f"{place}: the base of this adapter, {name}, is not there; write its folder into "
            f"base_model_name_or_path of {ADAPTER_SETTINGS}"
        )
    return name


def base_record(place: Path) -> dict[str, Any]:
    """base.json: what the adapter was made on; empty in a folder that others made."""
    try:
        found = json.loads((place / BASE).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def record_base(place: Path, home: Path, base: str, digest: str) -> None:
    """Write base.json into ``place``, a folder that will stand at ``home``: the base's digest, and
    its path as seen from there.
    """
    facts = {"schema": 1, "base": base, "digest": digest}
    if Path(base).is_dir():
        facts["beside"] = os.path.relpath(Path(base).resolve(), home.resolve())
    write_json(place / BASE, facts)


def words_at(place: Path) -> Path | str:
    """Where the tokenizer of a folder lies: an adapter that has none takes its base's."""
    if not is_adapter(place) or any((place / name).exists() for name in WORDS):
        return place
    base = base_of(place)
    return words_at(Path(base)) if Path(base).is_dir() else base


def check_plain(name: Path | str, config: Any) -> None:
    """Refuse quantized weights: what is trained on them cannot be saved so that it loads again, and
    rounding blurs every number.
    """
    for part in (config, getattr(config, "text_config", None)):
        found = getattr(part, "quantization_config", None)
        if found:
            method = (
                found.get("quant_method")
                if isinstance(found, dict)
                else getattr(found, "quant_method", None)
            )
            how = str(getattr(method, "value", method) or "unnamed")
            raise Refused(
                f"{name}: its weights are quantized ({how}), which are neither trained nor judged "
                f"here; "
                "take the model that they were made from, or save it dequantized"
            )
