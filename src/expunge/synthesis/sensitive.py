"""Which parts of an answer are sensitive: names, numbers and dates, or what a chat model marks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from expunge.core.data import Example, Examples
from expunge.synthesis.chat import Chat, ask_all
from expunge.synthesis.names import places, texts_of
from expunge.synthesis.texts import lines, question_of, spans_of
from expunge.synthesis.tools import Tools, number

ASK = """Copy from the answer below the shortest pieces that hold what is private or specific \
to its subject (names, places, dates, numbers,
works, conditions), one a line, letter for letter. Leave out what the question already says. \
Write nothing else.

Question: {question}
Answer: {answer}"""


def sensitive(
    rows: Mapping[str, Examples], tools: Tools, *, chat: bool = False, stream: str = "forget"
) -> Examples:
    """The rows of a stream with ``spans`` set: names (of all rows together) and numbers that the
    question does not hold.

    ``chat=True``: the pieces that the chat model copies out; pieces that are not in the answer are
    dropped. Spans that a row already has are kept. A row in which nothing is found is marked as a
    whole, so that no row silently counts as harmless.
    """
    found = rows[stream]
    todo = [e for e in found if not e.spans]
    if chat:
        model: Chat = tools.need("chat", "the marking of sensitive spans")
        prompts = [ASK.format(question=question_of(e), answer=_said(e)) for e in todo]
        seeds = [number(tools.seed, "spans", e.id) for e in todo]
        said = ask_all(model, prompts, seeds, max_new_tokens=200, temperature=0.0)
        spans = {
            e.id: tuple(places(_said(e), lines(text)))
            for e, (text,) in zip(todo, said, strict=True)
        }
    else:
        names = tools.finder([t for e in found for t in texts_of(e)])
        spans = {}
        for e in todo:
            text = _said(e)
            held = [name for name in names if name in text]
            spans[e.id] = _new(e, spans_of(text, held))
    return tuple(
        e if e.spans else replace(e, spans=spans[e.id] or ((0, len(_said(e))),)) for e in found
    )


def _said(example: Example) -> str:
    return example.answer if example.text is None else example.text


def _new(example: Example, spans: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    question = question_of(example)
    text = _said(example)
    return tuple((a, b) for a, b in spans if text[a:b] not in question)
