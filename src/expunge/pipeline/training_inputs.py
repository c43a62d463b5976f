"""The rows that a method trains on: the case's, those that the user brings, and those that its Prepare stages make."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from expunge.core.data import Case, Example, Examples, Row
from expunge.core.errors import Refused, listed
from expunge.core.files import private_folder, write_text
from expunge.core.results import EMPTY
from expunge.core.stages import Method, Prepare, Stage, stages, streams_of
from expunge.data.read import read
from expunge.models.causal_lm.model import Subject
from expunge.synthesis.anchors import read_anchors
from expunge.synthesis.chat import chat_of
from expunge.synthesis.corpus import corpus
from expunge.synthesis.names import listed_names
from expunge.synthesis.refusals import own_refusals, refusals
from expunge.synthesis.tools import OPTIONS, Tools

CORPUS = Prepare("corpus", stream="forget", fn=corpus, reads=(), needs=frozenset({"chat"}))  # what --domain asks for
REFUSE = Prepare("refusals", stream="alternate", fn=refusals)  # what an alternate is where a method says nothing else


@dataclass(frozen=True)
class Given:
    """What the user brings besides the case: rows of other streams, and tools for preparations."""

    rows: Mapping[str, Examples] = field(default_factory=lambda: EMPTY)
    tools: Tools = field(default_factory=Tools)


def given_of(request: Any, forget: Examples, seed: int, subject: Callable[[], Subject], others: Sequence[Example] = ()) -> Given:
    """The streams and tools that a request names; files are read here, a chat model is not asked yet.

    ``others``: forget rows of other stages, whose answers may stand in the same file.
    """
    rows: dict[str, Examples] = {}
    if request.alternate:
        elsewhere = {question(e) for e in others} - {question(e) for e in forget}
        brought = [e for e in read(request.alternate, role="alternate") if question(e) not in elsewhere]
        rows["alternate"] = joined(brought, forget, "--alternate")
    if request.world:
        rows["world"] = read(request.world, role="world")
    tools = Tools(
        seed=seed,
        subject=subject,
        chat=chat_of(request.chat, device=request.device) if request.chat else None,
        names=listed_names(request.names) if request.names else None,
        refusals=own_refusals(request.refusals) if request.refusals else (),
        anchors=read_anchors(request.anchors) if request.anchors else EMPTY,
        domain=request.domain,
    )
    return Given(rows, tools)


def question(e: Example) -> str:
    """The prompt, by which a row is found again."""
    return " ".join((e.prompt or "").split())


def joined(rows: Sequence[Example], forget: Sequence[Example], option: str) -> Examples:
    """Rows that answer forget questions, under the ids of the rows they answer: found by the question. Refused if one is not found."""
    ids = {question(e): e for e in forget if e.prompt}
    lost = [e.source or e.id for e in rows if question(e) not in ids]
    bare = [e.source or e.id for e in forget if question(e) not in {question(r) for r in rows}]
    if lost:
        raise Refused(f"{option}: {len(lost)} rows ask no forget question ({listed(lost, 3)}); their prompts must be those of forget rows")
    if bare:
        raise Refused(f"{option}: {len(bare)} forget rows have no row in it ({listed(bare, 3)}); give each one at least")
    return tuple(replace(e, id=ids[question(e)].id, group=ids[question(e)].group) for e in rows)


def preparations(method: Method | Stage, given: Given) -> list[Prepare]:
    """The Prepare stages that have something to do: their stream is read and the user did not bring it."""
    made = [s for s in stages(method) if isinstance(s, Prepare)]
    if given.tools.domain:
        made = [CORPUS, *made]
    needed = streams_of(method) | {r for p in made for r in p.reads}
    if "alternate" in needed and all(p.stream != "alternate" for p in made):
        made = [REFUSE, *made]
    return [p for p in made if p.stream in needed and p.stream not in given.rows]


def check_rows(method: Method | Stage, case: Case, given: Given, name: str) -> None:
    """Refuse, before anything is loaded, a method whose rows or tools are not there, and name the option that gives them."""
    todo = preparations(method, given)
    for prepare in todo:
        for need in sorted(prepare.needs):
            if not given.tools.has(need):
                raise Refused(f"{name} needs {OPTIONS.get(need, need)}")
    made = {p.stream for p in todo} | set(given.rows)
    for stream in sorted((streams_of(method) | {"forget"} | {r for p in todo for r in p.reads}) - made):
        if not case.train.get(stream):
            raise Refused(f"{name} needs {stream} rows and there are none; give them with --{stream}")


def rows_for(
    method: Method | Stage, case: Case, given: Given, name: str, kept: Path | None = None, pretend: bool = False
) -> dict[str, Examples]:
    """stream -> Examples of everything that the method reads; what is made is kept in ``kept``, so that a resumed run meets the same.

    ``pretend``: rows that would have to be written stand as copies of the rows they are made from (for a dry run).
    """
    check_rows(method, case, given, name)
    rows: dict[str, Examples] = {s: tuple(r) for s, r in case.train.items()} | dict(given.rows)
    for prepare in preparations(method, given):
        if prepare.on == "examples":
            rows[prepare.stream] = _made(prepare, rows, given.tools, kept, pretend)
    needed = streams_of(method) | {"forget"} | {r for p in preparations(method, given) if p.on == "rows" for r in p.reads}
    return {s: rows[s] for s in sorted(needed) if s in rows}


def _made(prepare: Prepare, rows: Mapping[str, Examples], tools: Tools, kept: Path | None, pretend: bool) -> Examples:
    assert prepare.fn is not None
    if pretend and prepare not in (REFUSE, CORPUS):
        copies = tuple(replace(e, role=prepare.stream) for e in rows[prepare.reads[0]])
        return copies * prepare.times
    if pretend and prepare is CORPUS:
        raise Refused("--dry-run cannot count a corpus that is not written yet; leave --domain away and give --forget, or run it")
    file = kept / f"{prepare.stream}.jsonl" if kept else None
    if file and file.exists():
        lines = file.read_text(encoding="utf-8").split("\n")  # only LF ends a row: others, as U+2028, are of its text
        return tuple(_example(json.loads(line)) for line in lines if line)
    found = tuple(prepare.fn({s: rows[s] for s in prepare.reads}, tools))
    if not found:
        raise Refused(f"{prepare.name}: nothing could be made for stream {prepare.stream}")
    if file:
        private_folder(file.parent)
        write_text(file, "".join(json.dumps(_plain(e), ensure_ascii=False) + "\n" for e in found), mode=0o600)
    return found


def _plain(e: Example) -> dict[str, Any]:
    return vars(e) | {"variants": dict(e.variants), "messages": [dict(m) for m in e.messages or ()], "media": None}


def _example(plain: dict[str, Any]) -> Example:
    spans = tuple((int(a), int(b)) for a, b in plain.pop("spans"))
    messages = plain.pop("messages")
    return Example(
        **{**plain, "options": tuple(plain["options"]), "tags": tuple(plain["tags"])},
        messages=tuple(messages) if messages else None,
        spans=spans,
    )


def relabelled(method: Method | Stage, streams: Mapping[str, list[Row]], given: Given) -> dict[str, list[Row]]:
    """The encoded streams with those that are made of tokens: other labels, other weights."""
    found = dict(streams)
    for prepare in preparations(method, given):
        if prepare.on == "rows":
            assert prepare.fn is not None
            found[prepare.stream] = list(prepare.fn({s: found[s] for s in prepare.reads}, given.tools))
    return found
