"""Plausible wrong answers to the forget questions: from a chat model, from the start model itself,
or by exchanging names and numbers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random

from expunge.core.data import Example, Examples
from expunge.core.errors import Failed, Refused, listed
from expunge.core.results import EMPTY
from expunge.synthesis.chat import Chat, InProcess, ask_all
from expunge.synthesis.names import NameFinder, places, texts_of
from expunge.synthesis.texts import NUMBER, gives_away, question_of, questions_only, same
from expunge.synthesis.tools import Tools, number

ASK = """A question and its correct answer follow. Write another answer to the same question, \
of the same form and length, that sounds as
likely but is wrong: exchange the facts (names, places, dates, numbers, works) for other \
believable ones. Write only that answer.

Question: {question}
Correct answer: {answer}"""


def alternates(
    rows: Mapping[str, Examples],
    tools: Tools,
    *,
    k: int = 5,
    source: str,
    max_new_tokens: int = 200,
    tries: int = 6,
) -> Examples:
    """``k`` wrong answers to every forget question, drawn from (seed, row id); the rows keep their
    ids and have role ``alternate``.

    ``source``: chat (``--chat``), model (the start model, asked at temperature 1), swapped (names
    and numbers that only the answer holds exchanged for those of other rows; needs no model). An
    answer that equals the true one is drawn again, ``tries`` times; then Failed, by row.
    """
    forget = questions_only(rows["forget"], "the writing of wrong answers")
    if source != "chat" and tools.chat is not None:
        raise Refused(
            f"--chat: winner {source} does not ask it; give --winner chat, or leave it away"
        )
    if source == "swapped":
        return swapped(forget, tools, k=k, pool=(*forget, *rows.get("retain", ())))
    chat: Chat = (
        tools.need("chat", "alternates")
        if source == "chat"
        else InProcess(tools.need("subject", "alternates")())
    )
    found: dict[str, list[str]] = {e.id: [] for e in forget}
    for attempt in range(tries):
        todo = [e for e in forget if len(found[e.id]) < k]
        if not todo:
            break
        prompts = [ASK.format(question=question_of(e), answer=e.answer) for e in todo]
        seeds = [number(tools.seed, "alternates", e.id, attempt) for e in todo]
        for e, said in zip(
            todo, ask_all(chat, prompts, seeds, n=k, max_new_tokens=max_new_tokens), strict=True
        ):
            found[e.id] += [
                text
                for text in map(_bare, said)
                if re.search(r"\w", text) and not same(text, e.answer)
            ]
    short = [e.source or e.id for e in forget if not found[e.id]]
    if short:
        raise Failed(
            f"{short[0]}: no other answer than the true one was written for {len(short)} rows: "
            f"{listed(short, 5)}; try another --chat"
        )
    return tuple(_alternate(e, text) for e in forget for text in found[e.id][:k])


def _bare(text: str) -> str:
    return re.sub(
        r"^\s*(?:wrong |another |new )?answer\s*:\s*", "", text, flags=re.IGNORECASE
    ).strip()


def _alternate(example: Example, answer: str) -> Example:
    return replace(example, role="alternate", answer=answer, variants=EMPTY, spans=())


# ------------------------------------------------------------------ without a model


def swapped(
    forget: Sequence[Example], tools: Tools, *, k: int = 5, pool: Sequence[Example] = ()
) -> Examples:
    """``k`` wrong answers per row, made of the names and numbers of other answers.

    Names and numbers that only the row's answer holds are exchanged for those of other answers.
    Other values come from answers of the same wording if there are any, else they are names of as
    many words; a number is moved. Where an answer holds neither, another row's answer takes its
    place.
    """
    pool = pool or forget
    finder = tools.finder
    names = finder([t for e in pool for t in texts_of(e)])

    def known(texts: Sequence[str]) -> tuple[str, ...]:
        found = []
        for name in names:
            if any(name in text for text in texts):
                found.append(name)
        return tuple(found)

    frames: dict[str, list[str]] = {}
    values: dict[int, list[str]] = {}
    for e in pool:
        spots = _spots(e, known)
        if len(spots) == 1:
            frames.setdefault(_frame(e, spots), []).append(e.answer[slice(*spots[0])])
        for a, b in spots:
            values.setdefault(len(e.answer[a:b].split()), []).append(e.answer[a:b])
    made = []
    for e in forget:
        draw = tools.random("swapped", e.id)
        spots = _spots(e, known)
        if len(spots) == 1:
            near = frames.get(_frame(e, spots), [])
        else:
            near = []
        for _ in range(k):
            made.append(_alternate(e, _swap(e, spots, near, values, pool, draw)))
    return tuple(made)


def _spots(example: Example, finder: NameFinder) -> list[tuple[int, int]]:
    question = question_of(example)
    found = [
        *places(example.answer, finder([example.answer])),
        *(m.span() for m in NUMBER.finditer(example.answer)),
    ]
    apart: list[tuple[int, int]] = []
    for a, b in sorted(found):
        if example.answer[a:b] not in question and (not apart or a >= apart[-1][1]):
            apart.append((a, b))
    return apart


def _frame(example: Example, spots: Sequence[tuple[int, int]]) -> str:
    """The answer with what it gives away, and what the question names, blanked: answers of one
    wording are equal.
    """
    text = example.answer
    question = set(re.findall(r"\w+", question_of(example)))
    for a, b in reversed(spots):
        text = text[:a] + "\0" + text[b:]
    return re.sub(
        r"\w+",
        lambda m: "\1" if m.group() in question and m.group()[0].isupper() else m.group(),
        text,
    )


def _swap(
    example: Example,
    spots: Sequence[tuple[int, int]],
    near: Sequence[str],
    values: Mapping[int, Sequence[str]],
    pool: Sequence[Example],
    draw: Random,
) -> str:
    text = example.answer
    for a, b in reversed(spots):
        old = example.answer[a:b]
        others = [v for v in near if v != old]
        if not others and NUMBER.fullmatch(old):
            new = re.sub(r"\d+", lambda m: _moved(m.group(), draw), old)
        else:
            others = others or [
                v for v in values.get(len(old.split()), ()) if v != old and not NUMBER.fullmatch(v)
            ]
            new = draw.choice(others) if others else old
        text = text[:a] + new + text[b:]
    if not same(text, example.answer):
        return text
    others = []
    for e in pool:
        if e.group != example.group and not same(e.answer, example.answer) and e.answer.strip():
            others.append(e.answer)
    if not others:
        raise Refused(
            f"{example.source or example.id}: no other answer can be made of these rows; give more "
            f"rows, or --chat"
        )
    return draw.choice(others)


def _moved(digits: str, draw: Random) -> str:
    """Another number of as many digits, near the old one."""
    value = int(digits)
    width = len(digits)
    if width == 1 or digits[0] == "0":
        low = 0
    else:
        low = 10 ** (width - 1)
    near = []
    for v in range(max(low, value - 20), min(10**width, value + 21)):
        if v != value:
            near.append(v)
    return str(draw.choice(near)).zfill(width)


def wrong(text: str, example: Example, finder: NameFinder) -> bool:
    """Whether a text is no way of saying the true answer."""
    return not same(text, example.answer) and not gives_away(text, example, finder)
