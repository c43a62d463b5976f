"""Demonstrations before a question: as many as fit, the oldest dropped first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from expunge.data.columns import BARE, SHOTS
from expunge.models.causal_lm.answer_spans import Ask, Tokens
from expunge.models.causal_lm.chat_template import Turns, plain_prompt, render


def fitted(tokens: Tokens, asks: Sequence[Ask]) -> list[Ask]:
    """The asks; of those tagged ``shots:N`` the last demonstrations that together take at most N
    tokens, and the question.

    A demonstration is a user turn with its answer. They are counted as the model will read them, in
    its template or in the plain form.
    """
    kept: dict[tuple[Turns, int, bool], Turns] = {}
    found: list[Ask] = []
    for ask in asks:
        most = next(
            (int(t.removeprefix(SHOTS)) for t in ask.example.tags if t.startswith(SHOTS)), None
        )
        if most is None:
            found.append(ask)
            continue
        chat = tokens.chat and BARE not in ask.example.tags
        key = (ask.turns[:-1], most, chat)
        if key not in kept:
            kept[key] = _last(tokens, ask, most, chat)
        found.append(replace(ask, turns=(*kept[key], ask.turns[-1])))
    return found


def _last(tokens: Tokens, ask: Ask, most: int, chat: bool) -> Turns:
    """The last pairs of turns before the question that take at most ``most`` tokens; found by
    halving, more pairs are more tokens.
    """
    before = ask.turns[:-1]
    fewest, unknown = 0, len(before) // 2
    while fewest < unknown:
        pairs = (fewest + unknown + 1) // 2
        turns = before[len(before) - 2 * pairs :]
        if chat:
            text = render(
                tokens.tokenizer, turns, prompt=False, source=ask.where, parts=tokens.parts
            )
        else:
            text = plain_prompt(turns, ask.literal)
        if len(tokens.ids([text])[0]) <= most:
            fewest = pairs
        else:
            unknown = pairs - 1
    return before[len(before) - 2 * fewest :]
