"""The rows that a method trains on: the case's, the user's own, and those that its Prepare stages
make.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from expunge.core.data import Case, Example, Examples, Row
from expunge.core.errors import Refused, listed
from expunge.core.files import private_folder, write_text
from expunge.core.results import EMPTY
from expunge.core.stages import Method, Prepare, Stage, stages, streams_of
from expunge.data.read import read
from expunge.models.base import TrainableModel
from expunge.models.causal_lm.model import Subject
from expunge.models.families.find import named
from expunge.synthesis.anchors import read_anchors
from expunge.synthesis.chat import chat_of
from expunge.synthesis.corpus import corpus
from expunge.synthesis.names import listed_names
from expunge.synthesis.refusals import own_refusals, refusals
from expunge.synthesis.tools import OPTIONS, Tools

# what --domain asks for
CORPUS = Prepare("corpus", stream="forget", fn=corpus, reads=(), needs=frozenset({"chat"}))
# what an alternate is where a method says nothing else
REFUSE = Prepare("refusals", stream="alternate", fn=refusals)
MAX_LENGTH = 512  # tokens of a row, unless the request says otherwise


@dataclass(frozen=True)
class Supplied:
    """What the user supplies besides the case: rows of other streams, and tools for preparations."""

    rows: Mapping[str, Examples] = field(default_factory=lambda: EMPTY)
    tools: Tools = field(default_factory=Tools)


@dataclass(frozen=True)
class TrainingInputs:
    """The rows that one method trains on. Each part is made once, when it is first asked for.

    Attributes:
        method: What reads the rows.
        case: The rows of the benchmark, or of the user's files.
        supplied: Rows of other streams, and tools for what is made.
        name: The method's name in messages.
        always: Streams that are there whether the method reads them or not: a run watches their
            loss.
        folder: Where rows that were made are kept, so that a resumed run reads the same ones.
        pretend: Rows that would have to be written stand as copies of those they are made from (dry
            run).
        max_length: Tokens of a row; texts that are longer are cut into pieces.
        longest: Tokens that a row with an answer may have if that is more: a benchmark says so.
    """

    method: Method | Stage
    case: Case
    supplied: Supplied = Supplied()
    name: str = "the method"
    always: tuple[str, ...] = ("forget",)
    folder: Path | None = None
    pretend: bool = False
    max_length: int = MAX_LENGTH
    longest: int = 0
    _encoded: dict[str, list[Row]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @cached_property
    def preparations(self) -> tuple[Prepare, ...]:
        """The Prepare stages that have something to do: their stream is read and the user did not
        supply it.
        """
        made = [s for s in stages(self.method) if isinstance(s, Prepare)]
        if self.supplied.tools.domain:
            made = [CORPUS, *made]
        needed = streams_of(self.method) | {stream for prepare in made for stream in prepare.reads}
        if "alternate" in needed and all(prepare.stream != "alternate" for prepare in made):
            made = [REFUSE, *made]
        return tuple(p for p in made if p.stream in needed and p.stream not in self.supplied.rows)

    def check(self) -> None:
        """Refuse, before anything is loaded, a method whose rows or tools are absent.

        Raises:
            Refused: Names what is absent and the option that gives it.
        """
        for prepare in self.preparations:
            for need in sorted(prepare.needs):
                if not self.supplied.tools.has(need):
                    raise Refused(f"{self.name} needs {OPTIONS.get(need, need)}")
        made = {prepare.stream for prepare in self.preparations} | set(self.supplied.rows)
        read_by_preparations = {stream for prepare in self.preparations for stream in prepare.reads}
        for stream in sorted(
            (streams_of(self.method) | set(self.always) | read_by_preparations) - made
        ):
            if not self.case.train.get(stream):
                raise Refused(
                    f"{self.name} needs {stream} rows and there are none; give them with --{stream}"
                )

    @cached_property
    def examples(self) -> Mapping[str, Examples]:
        """stream -> the rows of everything that the method reads, as text."""
        self.check()
        rows: dict[str, Examples] = {
            stream: tuple(examples) for stream, examples in self.case.train.items()
        }
        rows |= dict(self.supplied.rows)
        needed = streams_of(self.method) | set(self.always)
        for prepare in self.preparations:
            if prepare.on == "examples":
                rows[prepare.stream] = self._made(prepare, rows)
            else:
                needed |= set(prepare.reads)
        return {stream: rows[stream] for stream in sorted(needed) if stream in rows}

    def rows(self, model: TrainableModel) -> Mapping[str, list[Row]]:
        """stream -> the rows in tokens, with those that are made of tokens (other labels, other
        weights).

        Args:
            model: Its tokenizer reads the rows. A method does not change it, so the rows stay good
                for every model of one run.

        Returns:
            The same rows at every call.
        """
        if not self._encoded:
            self._check_family(model)
            rows = {
                s: encode_rows(model, examples, self.max_length, self.longest)
                for s, examples in self.examples.items()
            }
            for prepare in self.preparations:
                if prepare.on == "rows":
                    assert prepare.fn is not None
                    rows[prepare.stream] = list(
                        prepare.fn({s: rows[s] for s in prepare.reads}, self.supplied.tools)
                    )
            self._encoded.update(rows)
        return self._encoded

    def _check_family(self, model: TrainableModel) -> None:
        """Refuse preparations that write texts for a model that reads none."""
        made = [prepare.name for prepare in self.preparations if prepare.on == "examples"]
        if made and "text" not in model.capabilities:
            raise Refused(
                f"{self.name} makes texts ({listed(made)}), and {model.source} is "
                f"{named(model.family).title}, which reads none; take a method that needs the "
                f"rows alone"
            )

    def _made(self, prepare: Prepare, rows: Mapping[str, Examples]) -> Examples:
        """What a Prepare stage makes, or what a run before this one kept of it."""
        assert prepare.fn is not None
        if self.pretend and prepare == CORPUS:
            raise Refused(
                "--dry-run cannot count a corpus that is not written yet; leave --domain away and "
                "give --forget, or run it"
            )
        if self.pretend and prepare != REFUSE:
            copies = tuple(replace(e, role=prepare.stream) for e in rows[prepare.reads[0]])
            return copies * prepare.times
        file = self.folder / f"{prepare.stream}.jsonl" if self.folder else None
        if file and file.exists():
            # only LF ends a row: others, as U+2028, are of its text
            lines = file.read_text(encoding="utf-8").split("\n")
            return tuple(_example(json.loads(line)) for line in lines if line)
        made = tuple(prepare.fn({s: rows[s] for s in prepare.reads}, self.supplied.tools))
        if not made:
            raise Refused(f"{prepare.name}: nothing could be made for stream {prepare.stream}")
        if file:
            private_folder(file.parent)
            lines = [json.dumps(_plain(e), ensure_ascii=False) + "\n" for e in made]
            write_text(file, "".join(lines), mode=0o600)
        return made


def encode_rows(
    model: TrainableModel, examples: Examples, max_length: int = MAX_LENGTH, longest: int = 0
) -> list[Row]:
    """The rows in a model's tokens.

    Args:
        model: Its tokenizer reads the rows, its places bound them.
        examples: The rows as text.
        max_length: Texts are cut into pieces of so many tokens.
        longest: Answers cannot be cut, so a row with one may be so long if that is more.

    Raises:
        Refused: By file:line, a row that is longer than the model has places.
    """
    most = max(max_length, longest)
    if any(e.text is not None for e in examples):
        most = model.room(examples, max_length)
    rows = model.encode(examples, max_length=most)
    model.check_rows(rows)
    return rows


def supplied_by(
    request: Any,
    forget: Examples,
    seed: int,
    subject: Callable[[], Subject],
    others: Sequence[Example] = (),
) -> Supplied:
    """The streams and tools that a request names; files are read here, a chat model is not asked
    yet.

    ``others``: forget rows of other stages, whose answers may stand in the same file.
    """
    rows: dict[str, Examples] = {}
    if request.alternate:
        elsewhere = {question(e) for e in others} - {question(e) for e in forget}
        brought = [
            e for e in read(request.alternate, role="alternate") if question(e) not in elsewhere
        ]
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
    return Supplied(rows, tools)


def question(e: Example) -> str:
    """The prompt, by which a row is found again."""
    return " ".join((e.prompt or "").split())


def joined(rows: Sequence[Example], forget: Sequence[Example], option: str) -> Examples:
    """Rows that answer forget questions, under the ids of the rows they answer: found by the
    question. Refused if one is not found.
    """
    ids = {question(e): e for e in forget if e.prompt}
    lost = [e.source or e.id for e in rows if question(e) not in ids]
    bare = [e.source or e.id for e in forget if question(e) not in {question(r) for r in rows}]
    if lost:
        raise Refused(
            f"{option}: {len(lost)} rows ask no forget question ({listed(lost, 3)}); their prompts "
            f"must be those of forget rows"
        )
    if bare:
        raise Refused(
            f"{option}: {len(bare)} forget rows have no row in it ({listed(bare, 3)}); give each "
            f"one at least"
        )
    return tuple(replace(e, id=ids[question(e)].id, group=ids[question(e)].group) for e in rows)


def _plain(e: Example) -> dict[str, Any]:
    return vars(e) | {
        "variants": dict(e.variants),
        "messages": [dict(m) for m in e.messages or ()],
        "media": None,
    }


def _example(plain: dict[str, Any]) -> Example:
    spans = tuple((int(a), int(b)) for a, b in plain.pop("spans"))
    messages = plain.pop("messages")
    return Example(
        **{**plain, "options": tuple(plain["options"]), "tags": tuple(plain["tags"])},
        messages=tuple(messages) if messages else None,
        spans=spans,
    )
