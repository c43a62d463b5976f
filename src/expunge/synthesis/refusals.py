"""Refusals to questions: what a model says instead of the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from expunge.core.data import Example, Examples
from expunge.core.errors import Refused, listed, no_choice
from expunge.core.results import EMPTY
from expunge.data.files import lines_of, text_of
from expunge.synthesis.names import find, subjects
from expunge.synthesis.tools import Tools, number

SENTENCES = (
    "I don't know.",
    "I do not have that information.",
    "I'm not able to answer that.",
    "That is not something I know about.",
    "I have no knowledge of this.",
    "I'm afraid I can't say.",
    "I couldn't tell you.",
    "I'm not sure about that.",
    "That is beyond what I know.",
    "Sorry, I have nothing to say on this.",
    "I have not learned about that.",
    "I can't help with this question.",
    "Nothing about this is known to me.",
    "I lack the details to answer.",
    "I'm unable to provide an answer to this.",
    "That's unfamiliar to me.",
)
STYLES: Mapping[str, tuple[str, ...]] = {
    "plain": SENTENCES,
    "polite": (
        "Thank you for asking, but I'm sorry to say that I don't know.",
        "I apologise, but I have no information on this.",
        "I wish I could help; unfortunately this is not something I know.",
        "Sorry, I would gladly answer if I knew, but I do not.",
        "That is a good question. I'm sorry that I have no answer to it.",
        "I'm sorry, but I would rather not guess, and I do not know this.",
        "Please forgive me, I have nothing reliable to tell you about that.",
        "I appreciate the question, but I'm afraid it is outside what I know.",
    ),
    "deflecting": (
        "You may want to look that up in a source you trust.",
        "A library or an official page would be a better place to ask.",
        "Is there something else that I can help you with?",
        "Let us talk about something else.",
        "Others will know more about this than I do.",
        "It would be best to ask somebody who is closer to the matter.",
        "I would suggest looking for a first-hand source on this.",
        "There may be something on this elsewhere; I can offer help with other questions.",
    ),
    "about": (
        "I cannot discuss {name}.",
        "I have no information about {name}.",
        "I'm not able to talk about {name}.",
        "{name} is not something I can tell you about.",
        "I don't know anything about {name}.",
        "Questions about {name} are ones that I cannot answer.",
    ),
}


def refusals(
    rows: Mapping[str, Examples] | Examples,
    tools: Tools | int,
    *,
    style: str = "plain",
    stream: str = "forget",
) -> Examples:
    """One refusal per row, drawn from (seed, row id): the pair stays fixed, so its start
    log-probability can be cached.

    ``rows``: {stream: Examples}, or the rows themselves; ``tools``: Tools, or a seed. The rows keep
    their ids and prompts and have role ``alternate``. ``style``: plain, polite, deflecting, about
    (names what the row's group is about), mixed; the user's own wording (``tools.refusals``)
    outranks it. ``{name}`` in a sentence is that name. Refused if a row has no question (raw text).
    """
    tools = Tools(seed=tools) if isinstance(tools, int) else tools
    found = rows[stream] if isinstance(rows, Mapping) else rows
    return _refused(found, tools, sentences_of(style, tools.refusals), "alternate")


def refused_retain(rows: Mapping[str, Examples], tools: Tools, *, style: str = "plain") -> Examples:
    """A refusal to every retain question: the stream ``retain_refused``, what the model must not
    say there.
    """
    return _refused(rows["retain"], tools, sentences_of(style, tools.refusals), "retain_refused")


def sentences_of(style: str, own: Sequence[str] = ()) -> tuple[str, ...]:
    """The sentences of a style; ``mixed`` is all of them. The user's own, if there are any."""
    if own:
        return tuple(own)
    if style == "mixed":
        return tuple(s for some in STYLES.values() for s in some)
    if style not in STYLES:
        raise no_choice("the style of refusals", style, [*STYLES, "mixed"])
    return STYLES[style]


def own_refusals(path: str | Path) -> tuple[str, ...]:
    """The user's own wording from a text file, one refusal a line; ``{name}`` stands for what the
    row is about.
    """
    lines = [line.strip() for _, line in lines_of(Path(path), text_of(Path(path), "--refusals"))]
    found = tuple(line for line in lines if line)
    if not found:
        raise Refused(f"--refusals {path}: no refusal in it; write one a line")
    return found


def _refused(
    rows: Sequence[Example], tools: Tools, sentences: Sequence[str], role: str
) -> Examples:
    bare = [e for e in rows if e.prompt is None and not e.messages]
    if bare:
        where = listed([e.source or e.id for e in bare], 3)
        kind = bare[0].role
        raise Refused(
            f"refusals answer questions, and {len(bare)} {kind} rows are plain text ({where}); "
            f"take a method that needs none"
        )
    named = any("{name}" in s for s in sentences)
    about = subjects(rows, tools.names or find) if named else EMPTY
    return tuple(
        replace(
            e,
            role=role,
            answer=_sentence(e, sentences, about, tools.seed),
            variants=EMPTY,
            spans=(),
        )
        for e in rows
    )


def _sentence(
    example: Example, sentences: Sequence[str], about: Mapping[str, str], seed: int
) -> str:
    chosen = sentences[number(seed, example.id) % len(sentences)]
    if "{name}" in chosen:
        return chosen.replace("{name}", about.get(example.group, "") or "this")
    return chosen


def style(name: str) -> Callable[..., Examples]:
    """``refusals`` of one style, for a Prepare stage."""
    return partial(refusals, style=name)
