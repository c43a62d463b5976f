"""A model's folder that is there whole or not at all, whatever kind of model is in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from expunge.core.errors import Failed, unwritten
from expunge.core.files import make_folder, remove, write_manifest, write_text

CARD = "README.md"
CONFIG = "config.json"
READABLE = 0o644


@contextmanager
def saved_whole(folder: Path, card: str = "") -> Iterator[Path]:
    """A new folder beside ``folder``, which takes its place with a manifest once all is written.

    What stood there before stays until then.

    Args:
        folder: Where the model will stand.
        card: Becomes README.md; empty for none.

    Yields:
        The folder to write into.

    Raises:
        Failed: The disk refuses; nothing half-written is left.
    """
    place = folder.with_name(f".{folder.name}.partial")
    try:
        remove(place)
        make_folder(place.parent)
        place.mkdir()
        yield place
        if card:
            write_text(place / CARD, card)
        for file in place.glob("*.safetensors"):  # which the library makes 0600
            settings = place / CONFIG
            file.chmod(settings.stat().st_mode if settings.exists() else READABLE)
        write_manifest(place)
    except BaseException as error:
        shutil.rmtree(place, ignore_errors=True)
        # tokenizers raises plain Exceptions
        if isinstance(error, (OSError, SafetensorError)) or "os error" in str(error):
            raise Failed(
                f"could not save {folder}: {unwritten(error)}; nothing half-written is left, free "
                f"some space and run again"
            ) from None
        raise
    old = folder.with_name(f".{folder.name}.old")
    remove(old)
    if folder.exists() or folder.is_symlink():
        folder.rename(old)
    place.rename(folder)
    remove(old)
