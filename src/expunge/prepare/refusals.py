"""Refusals to the forget questions: what a model says instead of the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b

from expunge.core.errors import Refused, listed
from expunge.core.types import EMPTY, Example, Examples

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


def refusals(forget: Examples, seed: int, sentences: Sequence[str] = SENTENCES) -> Examples:
    """One refusal per forget row, drawn from (seed, row id): the pair stays fixed, so its start log-probability can be cached.

    The rows keep their ids and prompts and have role ``alternate``. Refused if a row has no question (raw text).
    """
    bare = [e for e in forget if e.prompt is None and not e.messages]
    if bare:
        where = listed([e.source or e.id for e in bare], 3)
        raise Refused(f"refusals answer questions, and {len(bare)} forget rows are plain text ({where}); take a method that needs none")
    return tuple(replace(e, role="alternate", answer=sentences[_draw(seed, e, len(sentences))], variants=EMPTY) for e in forget)


def _draw(seed: int, example: Example, n: int) -> int:
    return int.from_bytes(blake2b(f"{seed}/{example.id}".encode(), digest_size=8).digest(), "big") % n
