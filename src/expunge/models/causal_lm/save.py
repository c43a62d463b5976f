"""Weights out: a plain Hugging Face folder that is there whole or not at all."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from expunge.models.causal_lm.folders import record_base
from expunge.models.causal_lm.model import Subject, end_of_turn, settings_ends
from expunge.models.causal_lm.saved import check_saved
from expunge.models.quiet import quiet
from expunge.models.saving import saved_whole


def save(subject: Subject, folder: Path, card: str = "") -> Path:
    """Write a plain Hugging Face folder (or adapter) beside its place and move it in when it is
    whole.

    ``card`` becomes README.md. What stood there before stays until then; a failed write removes its
    own remains.
    """
    quiet()
    folder = Path(folder)
    with saved_whole(folder, card) as place:
        _name_end(subject)
        _put(subject.model, place, folder)
        if subject.tokenizer is not None:
            subject.tokenizer.save_pretrained(place)
        check_saved(subject.model, place, folder)
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
