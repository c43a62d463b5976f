"""Which column is what: by the usual names, or as the user says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from expunge.core.errors import Refused, listed, no_choice

PAIRS = (
    ("question", "answer"),
    ("prompt", "completion"),
    ("prompt", "response"),
    ("instruction", "output"),
    ("query", "response"),
    ("input", "output"),
)
PROMPTS = tuple(dict.fromkeys(p for p, _ in PAIRS))
ANSWERS = tuple(dict.fromkeys(a for _, a in PAIRS))
# columns that are a whole row -> what they are
ALONE = {"text": "text", "messages": "messages", "conversations": "messages"}
GROUPS = ("group", "author", "entity", "subject", "document")
# columns that say whose a row is, where none of GROUPS does; that rows are grouped by one is said
# in a line
PEOPLE = (
    *(
        f"{who}_id"
        for who in ("customer", "user", "person", "patient", "client", "account", "member")
    ),
    *("customer", "user", "person", "patient", "client", "account", "member", "name"),
)
USUAL = {
    "paraphrase": "paraphrased_answer",
    "perturbed": "perturbed_answer",
    "question/paraphrase": "paraphrased_question",
}
SYSTEM = ("system", "system_prompt", "system_message")
# columns that belong to the prompt; --columns context= leaves one aside
BESIDE = ("context", "history", "system")
MAPPABLE = ("prompt", "answer", "text", "messages", "id", "group", *BESIDE, *USUAL)
LITERAL = "completion"  # the tag of rows whose answer continues the prompt letter by letter
BARE = "bare"  # the tag of rows that are asked without the chat template
# a tag that begins so: words that the assistant has already said; a chat template puts them behind
# its header
BEGUN = "begun:"
# a tag that begins so: the words behind which the written answer begins (the end of a thinking)
AFTER = "after:"
# the tag of rows whose text had no end token where it was learnt, so none is scored: passages cut
# out of a corpus
UNENDED = "unended"
# a tag that begins so: of the turns before the question only the last that take at most so many
# tokens are shown
SHOTS = "shots:"
# the tag of requests that have no right answer: a text is written, and only its end is scored
OPEN = "open"


@dataclass(frozen=True)
class Fields:
    """The columns of one file.

    Either ``prompt`` and ``answer``, or ``text``, or ``messages`` is given.

    ``context``: columns whose text stands behind the prompt. ``history``: earlier turns.
    ``system``: the first turn.
    """

    prompt: str = ""
    answer: str = ""
    text: str = ""
    messages: str = ""
    context: tuple[str, ...] = ()
    history: str = ""
    system: str = ""
    id: str = ""
    group: str = ""
    variants: Mapping[str, str] = field(default_factory=dict)
    options: Sequence[str] = ()
    tags: tuple[str, ...] = ()

    @property
    def used(self) -> set[str]:
        """Every column that is read."""
        one = (
            self.prompt,
            self.answer,
            self.text,
            self.messages,
            self.history,
            self.system,
            self.id,
            self.group,
        )
        return {*one, *self.context, *self.variants.values(), *self.options} - {""}


def fields_of(where: str, found: Sequence[str], columns: Mapping[str, str]) -> Fields:
    """What the columns ``found`` are, by their usual names or as ``columns`` (ours -> theirs) says.

    Refused: none or several readings.
    """
    for ours, theirs in columns.items():
        if ours not in MAPPABLE:
            raise no_choice("--columns", ours, MAPPABLE)
        if theirs not in found and not (ours in (*BESIDE, "group") and theirs == ""):
            raise Refused(
                f"{where}: --columns {ours}= names a column that is not there; found {shown(found)}"
            )
    names = {name.lower(): name for name in reversed(found)}
    if {"prompt", "answer", "text", "messages"} & set(columns):
        body = _given(where, found, names, columns)
    else:
        body = _usual(where, found, names)
    chosen = set(body.values())
    variants = {v: columns.get(v, names.get(usual, "")) for v, usual in USUAL.items()}
    options = sorted((n for n in found if OPTION.fullmatch(n.lower())), key=lambda n: int(n[6:]))
    context, history, system = _beside(names, columns, body)
    return Fields(
        prompt=body.get("prompt", ""),
        answer=body.get("answer", ""),
        text=body.get("text", ""),
        messages=body.get("messages", ""),
        context=context,
        history=history,
        system=system,
        id=columns.get("id", names.get("id", "")),
        group=columns.get(
            "group",
            next(
                (names[g] for g in (*GROUPS, *PEOPLE) if g in names and names[g] not in chosen), ""
            ),
        ),
        variants={v: name for v, name in variants.items() if name},
        options=options,
        tags=(LITERAL,) if body.get("answer", "").lower() == "completion" else (),
    )


OPTION = re.compile(r"option[0-9]{1,4}")


def _beside(
    names: Mapping[str, str], columns: Mapping[str, str], body: Mapping[str, str]
) -> tuple[tuple[str, ...], str, str]:
    """(context, history, system): the columns that belong to the prompt, as the user says, else the
    usual ones.
    """
    chosen = set(body.values())
    if "text" in body:
        return (), "", ""
    free = {usual: name for usual, name in names.items() if name not in chosen}
    system = columns.get("system", next((free[n] for n in SYSTEM if n in free), ""))
    if "messages" in body:
        return (), "", system
    usual = ["context", *(["input"] if body["prompt"].lower() == "instruction" else [])]
    if "context" in columns:
        context = [columns["context"]]
    else:
        context = [free[n] for n in usual if n in free]
    return tuple(c for c in context if c), columns.get("history", free.get("history", "")), system


def _given(
    where: str, found: Sequence[str], names: Mapping[str, str], columns: Mapping[str, str]
) -> dict[str, str]:
    body = {
        ours: columns[ours] for ours in ("prompt", "answer", "text", "messages") if ours in columns
    }
    kinds = [k for k in ({"prompt", "answer"}, {"text"}, {"messages"}) if k & set(body)]
    if len(kinds) > 1:
        raise Refused(
            f"{where}: --columns names {listed(body)} at once; give prompt and answer, or text, or "
            f"messages"
        )
    for ours, usual in (
        (("prompt", PROMPTS), ("answer", ANSWERS)) if kinds[0] == {"prompt", "answer"} else ()
    ):
        if ours not in body:
            near = []
            for n in usual:
                if n in names and names[n] not in body.values():
                    near.append(names[n])
            if len(near) != 1:
                raise Refused(
                    f"{where}: which column is the {ours}? found {shown(found)}; add {ours}=COLUMN "
                    f"to --columns"
                )
            body[ours] = near[0]
    return body


def _usual(where: str, found: Sequence[str], names: Mapping[str, str]) -> dict[str, str]:
    pairs = [(p, a) for p, a in PAIRS if p in names and a in names]
    if ("instruction", "output") in pairs:
        # there, input is the instruction's context
        pairs = [p for p in pairs if p != ("input", "output")]
    loose = [(p, a) for p in PROMPTS for a in ANSWERS if p in names and a in names]
    pairs = pairs or loose
    readings = [{"prompt": names[p], "answer": names[a]} for p, a in pairs]
    readings += [{kind: names[name]} for name, kind in ALONE.items() if name in names]
    how = "--columns prompt=COLUMN,answer=COLUMN (or text=COLUMN, or messages=COLUMN)"
    if not readings:
        raise Refused(
            f"{where}: needs question and answer, prompt and completion, text or messages; found "
            f"{shown(found)}; say which with {how}"
        )
    if len(readings) > 1:
        each = []
        for reading in readings:
            each.append(" and ".join(shown([v]) for v in reading.values()))
        several = " or ".join(each)
        raise Refused(
            f"{where}: the columns can be read in {len(readings)} ways ({several}); say which with "
            f"{how}"
        )
    return readings[0]


def shown(names: Iterable[str]) -> str:
    """Column names for an error.

    One that is not a plain word may be a line of data read as a header, and is not printed.
    """
    plain = []
    for i, n in enumerate(names, 1):
        plain.append(n if re.fullmatch(r"[A-Za-z_][\w.\-/]{0,31}", n) else f"(column {i})")
    return listed(plain, 20) or "no columns"
