"""Subject: a model with its tokenizer, and where it came from."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

from expunge.core.errors import Refused
from expunge.models.causal_lm.answer_spans import Tokens
from expunge.models.causal_lm.chat_template import frame_of


@dataclass
class Subject:
    """A causal language model and its tokenizer.

    ``source`` is what the user named (folder, hub id, tiny); ``folder`` the local folder, if there is one; ``digest`` a sha256
    over its files (or over the tensors of a model that has none), which keys every cache. ``original``: the model that it was
    made from, ``gold``: one retrained without the forget rows, where a pass needs both; ``mlm``: who writes neighbours of rows, see
    ``evaluation.observations.masked_language_model``.
    """

    model: Any
    tokenizer: Any
    source: str = ""
    folder: Path | None = None
    digest: str = ""
    original: Subject | None = None
    gold: Subject | None = None
    mlm: Any = None
    can: frozenset[str] = field(default_factory=lambda: frozenset({"score", "write", "hidden", "weights", "grad"}))

    @property
    def left_behind(self) -> str:
        """What of the checkpoint is not in the model, in words; "" if all of it is."""
        return str(getattr(self.model, "_expunge_left_behind", ""))

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def vocab(self) -> int:
        """Rows of the embedding table."""
        return int(self.model.get_input_embeddings().weight.shape[0])

    @property
    def eos_ids(self) -> tuple[int, ...]:
        """Every token that ends a text: the generation settings' list, the tokenizer's own, and what the chat template writes at the
        end of an assistant's turn, with which answers end in training."""
        found = (*settings_ends(self.model), self.tokenizer.eos_token_id, end_of_turn(self.tokenizer))
        return tuple(dict.fromkeys(int(i) for i in found if i is not None))


def settings_ends(model: Any) -> list[int]:
    """The tokens at which a model's generation settings let a text end."""
    ids = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    return [int(i) for i in (ids if isinstance(ids, (list, tuple)) else [ids]) if i is not None]


def end_of_turn(tokenizer: Any) -> int | None:
    """The token with which the chat template closes an assistant's turn; None without a template, or where it closes it with none."""
    template = getattr(tokenizer, "chat_template", None)
    if not template:
        return None
    key, found = getattr(tokenizer, "_expunge_end_of_turn", ("", None))
    if key != template:
        frame = frame_of(tokenizer, ("user", "assistant"), False)
        end, after = Tokens(tokenizer).closing(frame[-1]) if frame else (None, -1)
        found = end if after >= 0 else None
        tokenizer._expunge_end_of_turn = (template, found)
    return found


def words_of(tokenizer: Any) -> str:
    """sha256 of a tokenizer's vocabulary: two that differ cut texts into other tokens."""
    return sha256(json.dumps(sorted(tokenizer.get_vocab().items())).encode()).hexdigest()


def check_same_words(name: str, tokenizer: Any, other: str, others: Any) -> None:
    """Refused unless two models read texts in the same tokens: their per-token numbers could not be compared. Templates may differ."""
    if words_of(tokenizer) != words_of(others):
        a, b = (len(t.get_vocab()) for t in (tokenizer, others))
        raise Refused(
            f"{other} has another tokenizer than {name} ({b} and {a} tokens): what they say of a token cannot be compared; "
            "train the other one from the same base model, or leave it away"
        )
