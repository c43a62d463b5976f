"""How many places a model has for the tokens of a row, where they come from a table: beyond it
there is nothing to look up.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Any

from expunge.core.data import Example, Row
from expunge.core.errors import Refused
from expunge.core.notes import note

SPARE = 8  # some tables have a few entries more, for what pads


def places_of(model: Any) -> int | None:
    """The longest row that a model can read as it was made to; None: no limit.

    A table of positions (GPT-2, OPT, GPT-J) ends; rotary positions that are scaled by the length of
    what is read (dynamic, longrope) change beyond their first length, and with them every row
    beside a longer one.
    """
    if not hasattr(model, "_expunge_places"):
        model._expunge_places = _of_rotary(model) or _of_table(model)
    return model._expunge_places


def _of_rotary(model: Any) -> int | None:
    config = model.config.get_text_config()
    settings = getattr(config, "rope_parameters", None) or {}
    kinds = [
        part.get("rope_type") for part in (settings, *settings.values()) if isinstance(part, dict)
    ]
    if not {"dynamic", "longrope"} & set(kinds):
        return None
    parts = [part for part in (settings, *settings.values()) if isinstance(part, dict)]
    first = [
        part["original_max_position_embeddings"]
        for part in parts
        if part.get("original_max_position_embeddings")
    ]
    length = min(first) if first else getattr(config, "original_max_position_embeddings", None)
    return int(length or config.max_position_embeddings)


def _of_table(model: Any) -> int | None:
    limit = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if not isinstance(limit, int) or limit < 1:
        return None
    for name, tensor in chain(model.named_parameters(), model.named_buffers()):
        if (
            ("pos" in name or "wpe" in name)
            and tensor.dim() == 2
            and limit <= tensor.shape[0] <= limit + SPARE
        ):
            return limit
    return None


def room_for_texts(model: Any, max_length: int, examples: Iterable[Example]) -> int:
    """``max_length``, or the model's places if those are fewer and the rows are raw texts, which
    are cut into pieces.
    """
    limit = places_of(model)
    if limit is None or not any(e.text is not None for e in examples):
        return max_length
    return min(limit, max_length)


def check_places(model: Any, rows: Iterable[Row]) -> None:
    """Refuse, by file:line, rows that are longer than the model has places; say of rotary ones that
    they go beyond its training.
    """
    limit = places_of(model)
    made_for = limit or getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if not isinstance(made_for, int):
        return
    long = [row for row in rows if len(row) > made_for]
    if long and limit is None:
        note(
            f"{type(model).__name__}: some rows have more than the {made_for} tokens that the "
            f"model was made for"
        )
    elif long:
        raise Refused(
            f"{long[0].source or long[0].id}: {len(long)} rows have more tokens than the {limit} "
            f"places of this model, "
            f"this one {len(long[0])}; shorten them or take another model"
        )
