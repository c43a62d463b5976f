"""Weights out: a plain Hugging Face folder that is there whole or not at all."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from expunge.core.errors import Failed
from expunge.core.files import make_folder, remove, write_manifest, write_text
from expunge.models.causal_lm.folders import record_base
from expunge.models.causal_lm.model import Subject, end_of_turn, settings_ends
from expunge.models.causal_lm.saved import check_saved
from expunge.models.checkpoint import first_line
from expunge.models.quiet import quiet


def save(subject: Subject, folder: Path, card: str = "") -> Path:
    """Write a plain Hugging Face folder (or adapter) beside its place and move it in when it is
    whole.

    ``card`` becomes README.md. What stood there before stays until then; a failed write removes its
    own remains.
    """
    quiet()
    folder = Path(folder)
    tmp = folder.with_name(f".{folder.name}.partial")
    try:
        remove(tmp)
        make_folder(tmp.parent)
        tmp.mkdir()
        _name_end(subject)
        _put(subject.model, tmp, folder)
        if subject.tokenizer is not None:
            subject.tokenizer.save_pretrained(tmp)
        if card:
            write_text(tmp / "README.md", card)
        for file in tmp.glob("*.safetensors"):
            # safetensors makes them 0600
            file.chmod(
                (tmp / "config.json").stat().st_mode if (tmp / "config.json").exists() else 0o644
            )
        check_saved(subject.model, tmp, folder)
        write_manifest(tmp)
    except BaseException as error:
        shutil.rmtree(tmp, ignore_errors=True)
        # tokenizers raises plain Exceptions
        if isinstance(error, (OSError, SafetensorError)) or "os error" in str(error):
            raise Failed(
                f"could not save {folder}: {first_line(error)}; nothing half-written is left, free "
                f"some space and run again"
            ) from None
        raise
    old = folder.with_name(f".{folder.name}.old")
    remove(old)
    if folder.exists() or folder.is_symlink():
        folder.rename(old)
    tmp.rename(folder)
    remove(old)
    return folder


def _name_end(subject: Subject) -> None:
    """Let the generation settings name the token that closes a turn: with it the answers were
    trained to end, elsewhere too.
    """
    end = end_of_turn(subject.tokenizer)
    settings = getattr(subject.model, "generation_config", None)
    if end is None or settings is None or end in settings_ends(subject.model):
        return
    settings.eos_token_id = [*settings_ends(subject.model), end]


def _put(model: Any, place: Path, home: Path) -> None:
    """The weights into ``place``, which will stand at ``home``: of an adapter its own, and what
    base it was made on.
    """
    if not hasattr(model, "peft_config"):
        model.save_pretrained(place, safe_serialization=True)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft announces that it saves the embeddings
        keep = True if getattr(model, "_expunge_embeddings", False) else "auto"
        model.save_pretrained(place, safe_serialization=True, save_embedding_layers=keep)
    base = getattr(model.get_base_model(), "_expunge_base", None)
    if base is not None:
        record_base(place, home, *base)
