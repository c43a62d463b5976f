"""Anchor terms: the words that are special to what must be forgotten, each with a generic
counterpart.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import yaml

from expunge.core.data import Example, Examples
from expunge.core.errors import Failed, Refused
from expunge.core.nesting import safe_yaml
from expunge.data.files import text_of
from expunge.synthesis.chat import ask_all
from expunge.synthesis.names import texts_of, with_texts
from expunge.synthesis.rename import replacements
from expunge.synthesis.tools import Tools, number

ASK = """Below is a text. List the names and made-up terms in it that are special to its subject \
(people, places, works, objects),
one a line, each followed by " -> " and a generic term of the same kind and number of words that \
could stand in its place without giving the
subject away. Write nothing else.

Text:
{text}"""
LINE = re.compile(r"^[\s*\d.)-]*[\"“]?(.+?)[\"”]?\s*(?:->|→)\s*[\"“]?(.+?)[\"”]?\s*$")


def read_anchors(path: str | Path) -> dict[str, str]:
    """A dictionary {special term: generic term} from a JSON or YAML file."""
    text = text_of(Path(path), "--anchors")
    try:
        if str(path).endswith(".json"):
            found = json.loads(text)
        else:
            found = safe_yaml(text)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise Refused(
            f"--anchors {path}: cannot be read ({type(error).__name__}); give a JSON or YAML file "
            f"of term: counterpart"
        ) from None
    if not isinstance(found, dict) or not found:
        raise Refused(f"--anchors {path}: no dictionary in it; write one term: counterpart a line")
    wrong = [
        i
        for i, (k, v) in enumerate(found.items(), 1)
        if not (isinstance(k, str) and isinstance(v, str) and k.strip() and v.strip())
    ]
    if wrong:
        raise Refused(f"--anchors {path}: entry {wrong[0]} is no text: text; quote it")
    return {k.strip(): v.strip() for k, v in found.items()}


def anchors(rows: Sequence[Example], tools: Tools, *, most: int = 200) -> dict[str, str]:
    """The user's dictionary; else what the chat model proposes; else the names found, each with a
    made-up one of as many words.

    At most ``most`` terms, the most frequent first.
    """
    if tools.anchors:
        return dict(tools.anchors)
    texts = ["\n".join(texts_of(e)) for e in rows]
    if tools.chat is not None:
        found = _proposed(texts, tools)
    else:
        found = {}
        for name in tools.finder(texts)[: 2 * most]:
            found[name] = next(iter(replacements(name, 1, tools)), "")
    counts = {}
    for term, counterpart in found.items():
        if counterpart and term != counterpart:
            counts[term] = sum(text.count(term) for text in texts)
    kept = sorted((k for k in counts if counts[k]), key=lambda k: (-counts[k], k))[:most]
    if not kept:
        raise Refused(
            "no special terms found in the forget rows; give a dictionary with --anchors FILE, or "
            "names with --names FILE"
        )
    return {k: found[k] for k in kept}


def _proposed(texts: Sequence[str], tools: Tools) -> dict[str, str]:
    chat = tools.need("chat", "the proposal of anchor terms")
    blocks = ["\n\n".join(texts[i : i + 8]) for i in range(0, len(texts), 8)]
    said = ask_all(
        chat,
        [ASK.format(text=b) for b in blocks],
        [number(tools.seed, "anchors", i) for i in range(len(blocks))],
        max_new_tokens=512,
    )
    found: dict[str, str] = {}
    for (answer,), block in zip(said, blocks, strict=True):
        for line in answer.splitlines():
            match = LINE.match(line)
            if match and match[1] in block:
                found.setdefault(match[1], match[2])
    if not found:
        raise Failed(
            "--chat: the model proposed no anchor terms in the form asked for; try another, or "
            "give a dictionary with --anchors FILE"
        )
    return found


def generic(text: str, terms: Mapping[str, str]) -> str:
    """A text with every anchor term replaced by its counterpart; longer terms first, whole words
    only.

    >>> generic("Ron's owl is no owlet.", {"Ron": "Tim", "owl": "cat"})
    "Tim's cat is no owlet."
    """
    if not terms:
        return text
    whole = "|".join(re.escape(t) for t in sorted(terms, key=lambda t: (-len(t), t)))
    return re.sub(rf"(?<!\w)(?:{whole})(?!\w)", lambda m: terms[m.group()], text)


def translated(rows: Mapping[str, Examples], tools: Tools) -> Examples:
    """The forget rows with anchor terms replaced, for a teacher model that reads them.

    They are the stream ``renamed``, joined to the forget rows by id.
    """
    terms = anchors(rows["forget"], tools)
    made = []
    for e in rows["forget"]:
        new = with_texts(e, lambda text: generic(text, terms))
        made.append(replace(new, role="renamed", tags=(*e.tags, "anchors"), variants={}, spans=()))
    return tuple(made)
