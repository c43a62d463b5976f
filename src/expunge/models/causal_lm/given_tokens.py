"""Rows that are given as tokens and no text: they are fed as they are."""

from __future__ import annotations

from expunge.core.data import Row
from expunge.core.errors import Refused
from expunge.data.kinds import tokens_of
from expunge.models.causal_lm.answer_spans import Ask, Tokens


def as_given(tokens: Tokens, ask: Ask, max_length: int) -> Row:
    """The row as its tokens stand: the answer's are scored, nothing is put before or behind.

    Refused: another vocabulary, too long.
    """
    known = tokens_of(ask.example)
    prompt, answer = tuple(known["prompt_ids"]), tuple(known["answer_ids"])
    vocabulary = len(tokens.tokenizer)
    if max(*prompt, *answer) >= vocabulary or known.get("vocabulary", vocabulary) > vocabulary:
        raise Refused(
            f"{ask.where}: given as tokens of a vocabulary of {known['vocabulary']}, the model's "
            f"has {vocabulary}; take its model"
        )
    if len(prompt) + len(answer) > max_length:
        raise Refused(
            f"{ask.where}: --max-length {max_length} would cut it; raise it to "
            f"{len(prompt) + len(answer)}"
        )
    e = ask.example
    scored = (False,) * len(prompt) + (True,) * len(answer)
    return Row(
        e.id,
        e.role,
        e.group,
        ask.variant,
        prompt + answer,
        scored,
        len(prompt),
        False,
        "",
        e.source,
    )
