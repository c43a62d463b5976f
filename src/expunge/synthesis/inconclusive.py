"""Reasoned refusals: a chain of thought that comes to no conclusion, and then a refusal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from expunge.core.data import Example, Examples
from expunge.core.results import EMPTY
from expunge.synthesis.chat import ask_all
from expunge.synthesis.names import subjects
from expunge.synthesis.refusals import sentences_of
from expunge.synthesis.texts import gives_away, question_of, questions_only
from expunge.synthesis.tools import Tools, number

ASK = """Think aloud about the question below as somebody who does not know the answer: \
go through what it asks, what one would need to know
and why nothing comes to mind, and end without an answer and without a guess. \
Three to five sentences, nothing else.

Question: {question}"""
BEGIN = (
    "Okay, so the question is about {name}.",
    "Let me think about what is asked here: it is about {name}.",
    "Hmm, this one concerns {name}.",
    "I should first see what I know about {name}.",
)
MIDDLE = (
    "I go through what I can recall, and nothing that would settle it comes up.",
    "To answer it I would need a specific fact, and I do not seem to have it.",
    "There are several things it could be, and I see no way to tell which one is right.",
    "I could guess from the wording, but a guess would not be an answer.",
    "I looked at it from the other side too, and that does not bring me closer.",
    "What I know in general does not reach down to this detail.",
)
END = (
    "So I cannot come to a conclusion.",
    "It stays open, and I should say so.",
    "Without more to go on, I should not pretend to know.",
    "I had better leave it at that.",
)


def inconclusive(
    rows: Mapping[str, Examples],
    tools: Tools,
    *,
    opening: str = "<think>\n",
    closing: str = "\n</think>\n\n",
    rounds: int = 3,
    style: str = "plain",
) -> Examples:
    """One reasoned refusal per forget row: opening + thoughts + closing + refusal; role
    ``alternate``, ids kept.

    The thoughts are written by the chat model if there is one (anew, up to ``rounds`` times, where
    they give the answer away), else put together from sentences; drawn from (seed, row id), so the
    order of the rows does not matter.
    """
    forget = questions_only(rows["forget"], "reasoned refusal")
    thoughts: dict[str, str] = {}
    for turn in range(rounds if tools.chat is not None else 0):
        todo = [e for e in forget if e.id not in thoughts]
        seeds = [number(tools.seed, "thought", e.id, turn) for e in todo]
        chat = tools.need("chat", "reasoned refusal")
        said = ask_all(
            chat, [ASK.format(question=question_of(e)) for e in todo], seeds, max_new_tokens=256
        )
        thoughts |= {
            e.id: text.strip()
            for e, (text,) in zip(todo, said, strict=True)
            if text.strip() and not gives_away(text, e, tools.finder)
        }
    about = subjects(forget, tools.finder)
    sentences = sentences_of(style, tools.refusals)
    made = []
    for e in forget:
        if about[e.group] in question_of(e):
            name = about[e.group]
        else:
            name = ""
        refusal = sentences[number(tools.seed, e.id) % len(sentences)].replace(
            "{name}", name or "this"
        )
        thought = thoughts.get(e.id) or composed(e, name or "something specific", tools)
        made.append(
            replace(
                e,
                role="alternate",
                answer=opening + thought + closing + refusal,
                variants=EMPTY,
                spans=(),
            )
        )
    return tuple(made)


def composed(example: Example, name: str, tools: Tools) -> str:
    """Thoughts of four sentences that say nothing but what the question is about."""
    draw = tools.random("thought", example.id)
    return " ".join(
        [draw.choice(BEGIN).format(name=name), *draw.sample(MIDDLE, 2), draw.choice(END)]
    )
