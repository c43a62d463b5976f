"""Rows that are all but the same, found in a time that grows with their number: words compared by
minhash.

Broder, On the resemblance and containment of documents, 1997.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Iterable
from itertools import pairwise

import numpy as np

from expunge.core.data import Case, Example
from expunge.core.errors import listed
from expunge.core.notes import note
from expunge.data.overlap import Pairs

ALIKE = 0.9  # share of pairs of words that two rows have in common, of those that either has
MOST = 20_000  # rows of one set that are compared by minhash; beyond that only equal words count
# 8 bands of 4 minima: rows that share .9 meet in one of them with a chance of .9998
BANDS, WIDE = 8, 4
TRIED = 8  # rows of one band that a row is compared with
NEARLY_ALL = 0.8
WORD = re.compile(r"\w+")
_draw = np.random.default_rng(0)
FACTORS = _draw.integers(1, 1 << 61, BANDS * WIDE, dtype=np.uint64) | np.uint64(1)
SHIFTS = _draw.integers(0, 1 << 61, BANDS * WIDE, dtype=np.uint64)


class Print:
    """What a row is recognized by: its words in order, its pairs of words, and the bands of their
    minima.
    """

    def __init__(self, example: Example) -> None:
        self.example = example
        self.words = words_of(example)
        pairs = (f"{a} {b}".encode(errors="surrogatepass") for a, b in pairwise(self.words))
        self.shingles = frozenset(map(zlib.crc32, pairs))
        self.bands = _bands(self.shingles)


class Near:
    """Rows in which others are looked up: the first that has the same words in order, or shares
    ALIKE of its pairs of words.
    """

    def __init__(self) -> None:
        self.same: dict[tuple[str, ...], Example] = {}
        self.bands: dict[tuple[int, bytes], list[Print]] = {}
        self.compared = 0

    def find(self, row: Print) -> Example | None:
        """The row added before that is all but this one."""
        if row.words in self.same:
            return self.same[row.words]
        for band in row.bands:
            for other in self.bands.get(band, ())[:TRIED]:
                if len(row.shingles & other.shingles) >= ALIKE * len(row.shingles | other.shingles):
                    return other.example
        return None

    def add(self, row: Print) -> None:
        """Add a row to those that are looked up."""
        self.same.setdefault(row.words, row.example)
        self.compared += 1
        if self.compared <= MOST:
            for band in row.bands:
                self.bands.setdefault(band, []).append(row)


def words_of(example: Example) -> tuple[str, ...]:
    """The words of a row's turns and its answer (or of its text) in order, without case, marks and
    Unicode forms.
    """
    if example.messages is None:
        asked = example.prompt
    else:
        asked = "\n".join(str(t["content"]) for t in example.messages)
    if example.text is not None:
        text = example.text
    else:
        text = f"{asked or ''}\n{example.answer}"
    return tuple(WORD.findall(unicodedata.normalize("NFKC", text).casefold())) or (text,)


def _bands(shingles: frozenset[int]) -> list[tuple[int, bytes]]:
    if not shingles:
        return []
    values = np.fromiter(shingles, dtype=np.uint64, count=len(shingles))
    smallest = np.full(BANDS * WIDE, np.iinfo(np.uint64).max, dtype=np.uint64)
    for first in range(0, len(values), 4096):
        mixed = values[first : first + 4096, None] * FACTORS + SHIFTS  # modulo 2^64
        smallest = np.minimum(smallest, mixed.min(axis=0))
    return [(k, smallest[k * WIDE : (k + 1) * WIDE].tobytes()) for k in range(BANDS)]


def near(rows: Iterable[Example], others: Iterable[Example]) -> Pairs:
    """Every (row, other) that are all but the same, one pair at most for each of ``others``, in
    their order.
    """
    known = Near()
    for row in rows:
        known.add(Print(row))
    return [(found, other) for other in others if (found := known.find(Print(other))) is not None]


def repeated(rows: Iterable[Example]) -> Pairs:
    """Every (earlier, later) pair of near duplicates in one set, at most one for each row."""
    known = Near()
    found = []
    for row in rows:
        marks = Print(row)
        before = known.find(marks)
        if before is None:
            known.add(marks)
        else:
            found.append((before, row))
    return found


def tell(case: Case) -> None:
    """Say (``core.notes``) which rows repeat others, within a set or across them, and whether
    hardly anything is to be kept.
    """
    forget = case.train.get("forget", ())
    retain = case.train.get("retain", ())
    for role, rows in case.evaluate.items():
        pairs = repeated(rows)
        if pairs:
            note(
                f"{_named(pairs)}: {len(pairs)} of {len(rows)} {role} rows repeat an earlier one, "
                f"all but word for word; each counts"
            )
    pairs = near(forget, retain)
    if pairs:
        why = "what they teach to keep is what is to be forgotten"
        note(
            f"{_named(pairs)}: {len(pairs)} of {len(retain)} retain rows are forget rows, all but "
            f"word for word; {why}"
        )
    holdout = case.evaluate.get("holdout", ())
    pairs = near([*forget, *retain], holdout)
    if pairs:
        why = "membership scores need rows that no model saw"
        note(
            f"{_named(pairs)}: {len(pairs)} of {len(holdout)} holdout rows are trained on, all but "
            f"word for word; {why}"
        )
    if retain and len(forget) > NEARLY_ALL * (len(forget) + len(retain)):
        share = f"{len(forget)} of {len(forget) + len(retain)}"
        note(
            f"the forget set is {share} rows: hardly any teach what is to be kept; give more with "
            f"--retain"
        )


def _named(pairs: Pairs) -> str:
    """``a.jsonl:3 = b.jsonl:7, ...``, the first three."""
    return listed([f"{a.source or a.id} = {b.source or b.id}" for a, b in pairs], 3)
