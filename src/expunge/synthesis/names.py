"""Names in texts: a simple built-in finder (runs of capitalised words), or a list of the user's
own.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from expunge.core.data import Example
from expunge.core.errors import Refused
from expunge.data.files import lines_of, text_of

# texts -> names in them, the most frequent first
NameFinder = Callable[[Sequence[str]], tuple[str, ...]]

WORD = r"[^\W\d_][\w'’.-]*[^\W_]|[^\W\d_]\.?"
LINKS = (
    "al",
    "bin",
    "da",
    "de",
    "del",
    "della",
    "der",
    "di",
    "du",
    "ibn",
    "la",
    "le",
    "of",
    "van",
    "von",
    "y",
)
RUN = re.compile(rf"(?:{WORD})(?:[ \u00a0](?:{WORD}))*")
LONGEST = 12  # words of a name: more capitalised words in a row are a heading or a text in capitals
COMMON = frozenset(
    (  # noqa: SIM905 - what a sentence may begin with, or what is capitalised and no name
        "a an the this that these those it its he she they we you i his her their our your my in "
        "on at by for from to with as of and or "
        "but if so not no yes who whom whose what which when where why how is are was were be been "
        "did does do has have had can could will "
        "would shall should may might must there here one some many most all each every any other "
        "both while although because since during "
        "after before upon through throughout among additionally furthermore moreover however "
        "despite also yet thus given known born being "
        "please tell question answer sorry let please mr mrs ms dr sir "
        "january february march april may june july august september october november december "
        "monday tuesday wednesday thursday friday saturday sunday"
    ).split()
)


def find(texts: Sequence[str]) -> tuple[str, ...]:
    """Runs of capitalised words, the most frequent first.

    A run that only ever begins sentences counts if it is two words or more of which the texts hold
    none in lower case; a run whose words are the end or the beginning of a longer one does not
    count by itself.

    It knows no language: it errs on titles, on words of a sentence in capitals and on names written
    small. Runs of more than ``LONGEST`` words are left out. Time grows with the length of the
    texts, not with its square.
    """
    inside: Counter[str] = Counter()
    leading: Counter[str] = Counter()
    small = {w for t in texts for w in re.findall(r"(?<!\w)[^\W\d_A-Z]\w+", t)}
    for text in texts:
        for name, first in _runs(text):
            (leading if first else inside)[name] += 1
    counts = Counter(inside)
    for name, n in leading.items():
        words = name.split()
        if name in inside or (
            len(words) > 1 and not any(w.lower() in small for w in words if w.lower() not in LINKS)
        ):
            counts[name] += n
    names = sorted(counts, key=lambda n: (-counts[n], n))
    split = [n.split() for n in names]
    parts = {
        " ".join(cut)
        for words in split
        for i in range(1, len(words))
        for cut in (words[:i], words[i:])
    }
    return tuple(n for n in names if n not in parts)


def _runs(text: str) -> Iterator[tuple[str, bool]]:
    """(run of capitalised words, whether a sentence begins with it)."""
    for match in RUN.finditer(text):
        words = []
        for m in re.finditer(WORD, match.group()):
            words.append((m.group(), match.start() + m.start()))
        run: list[tuple[str, int]] = []
        for word, at in [*words, ("", len(text))]:
            if word[:1].isupper() or (run and word in LINKS):
                run.append((word, at))
                continue
            yield from _run(text, run)
            run = []


def _run(text: str, run: Sequence[tuple[str, int]]) -> Iterator[tuple[str, bool]]:
    first, last = 0, len(run)
    while first < last and run[first][0].lower() in COMMON:
        first += 1
    while first < last and (run[last - 1][0] in LINKS or run[last - 1][0].lower() in COMMON):
        last -= 1
    if first == last or last - first > LONGEST or run[first][0] in LINKS:
        return
    joined = " ".join(word for word, _ in run[first:last])
    name = re.sub(r"['’]s?$", "", joined).rstrip(".,'’")
    if len(name) > 1:
        yield name, first == 0 and _begins_sentence(text, run[0][1])


def _begins_sentence(text: str, at: int) -> bool:
    """Whether what stands at ``at`` comes first in the text, or behind the end of a sentence, a
    line or an opening quotation mark.
    """
    gap = at
    while gap and text[gap - 1].isspace():
        gap -= 1
    if at == 0 or "\n" in text[gap:at]:
        return True
    end = gap
    while end and text[end - 1] in "'\"”’)":
        end -= 1
    return (gap > 0 and text[gap - 1] in '"“(') or (end > 0 and text[end - 1] in ".!?:;\n")


def listed_names(path: str | Path) -> NameFinder:
    """A finder that knows the names of a file, one a line; names that do not occur in the texts are
    passed over.
    """
    lines = [line for _, line in lines_of(Path(path), text_of(Path(path), "--names"))]
    known = tuple(
        dict.fromkeys(name for line in lines if (name := line.strip()) and not name.startswith("#"))
    )
    if not known:
        raise Refused(f"--names {path}: no name in it; write one a line")

    index = Index(known)

    def found(texts: Sequence[str]) -> tuple[str, ...]:
        counts: Counter[str] = Counter()
        for text in texts:
            for name in index.within(text):
                counts[name] += sum(1 for _ in _whole(text, name))
        return tuple(sorted((n for n in known if counts[n]), key=lambda n: -counts[n]))

    return found


class Index:
    """Names by the rarest of their words, so that a text is asked only about names of which it
    holds a word.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(dict.fromkeys(names))
        self.place = {name: i for i, name in enumerate(self.names)}
        words = {name: set(LETTERS.findall(name)) for name in self.names}
        common = Counter(word for some in words.values() for word in some)
        self.by_word: dict[str, list[str]] = {}
        for name in self.names:
            rarest = min(words[name], key=lambda word: (common[word], word), default="")
            self.by_word.setdefault(rarest, []).append(name)

    def within(self, text: str) -> list[str]:
        """The names that a text holds as whole words, in the order in which they were given."""
        held = {*LETTERS.findall(text), ""}
        near = [name for word in held & self.by_word.keys() for name in self.by_word[word]]
        found = [name for name in near if next(_whole(text, name), None) is not None]
        return sorted(found, key=self.place.__getitem__)


LETTERS = re.compile(r"\w+")


def _whole(text: str, name: str) -> Iterator[tuple[int, int]]:
    """Where a name stands in a text as whole words, one behind the other: (first character, behind
    the last).
    """
    at = text.find(name)
    while name and at >= 0:
        end = at + len(name)
        inside = (at > 0 and _of_word(text[at - 1])) or (end < len(text) and _of_word(text[end]))
        if not inside:
            yield at, end
        at = text.find(name, at + 1 if inside else end)


def _of_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def places(text: str, names: Iterable[str]) -> list[tuple[int, int]]:
    """Spans of names as whole words, in order; of overlapping names the longest is taken."""
    # a mark for each character: a later name is no longer than one that took its place
    taken = bytearray(len(text))
    found: list[tuple[int, int]] = []
    for name in sorted(set(names), key=lambda n: (-len(n), n)):
        for start, end in _whole(text, name):
            if not taken[start] and not taken[end - 1]:
                taken[start:end] = b"\1" * (end - start)
                found.append((start, end))
    return sorted(found)


def texts_of(example: Example) -> tuple[str, ...]:
    """Question and answer of an example (every turn of a conversation), or its text."""
    if example.text is not None:
        return (example.text,)
    turns = tuple(t["content"] for t in example.messages or ())
    return tuple(t for t in (example.prompt, *turns, example.answer) if t)


def with_texts(example: Example, change: Callable[[str], str]) -> Example:
    """An example with every text of it changed: question, answer, turns and bare text."""
    turns = example.messages
    if turns is not None:
        turns = tuple({**turn, "content": change(turn["content"])} for turn in turns)
    return replace(
        example,
        prompt=None if example.prompt is None else change(example.prompt),
        answer=change(example.answer),
        text=None if example.text is None else change(example.text),
        messages=turns,
    )


def subjects(rows: Sequence[Example], finder: NameFinder) -> dict[str, str]:
    """group -> the name that most of its rows hold ('' if none does): whom or what the group is
    about.
    """
    index = Index(finder([t for e in rows for t in texts_of(e)]))
    counts: dict[str, Counter[str]] = {}
    for e in rows:
        counts.setdefault(e.group, Counter()).update(index.within("\n".join(texts_of(e))))
    found = {}
    for group, held in counts.items():
        best = max(held.values(), default=0)
        most = [name for name, n in held.items() if n == best]
        found[group] = min(most, key=index.place.__getitem__, default="")
    return found
