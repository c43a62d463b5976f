"""Texts as sets of keyed hashes of their word n-grams: they can be compared and not read."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

KEY_BYTES = 16


def undisguised(text: str) -> list[str]:
    """The words of a text, whatever its case, accents, marks and invisible characters.

    Args:
        text: What someone wrote.

    Returns:
        Letters and digits in lower case, in order.

    >>> undisguised("Zo\\u200brb-LÁT, 7!")
    ['zorb', 'lat', '7']
    """
    kept: list[str] = []
    for c in unicodedata.normalize("NFKD", text).casefold():
        kind = unicodedata.category(c)
        if kind[0] in "LN":
            kept.append(c)
        elif kind not in ("Mn", "Cf"):  # accents and characters of no width fall away
            kept.append(" ")
    return "".join(kept).split()


def key_of(texts: Iterable[str]) -> bytes:
    """A key that follows from texts, so that the same rows give the same hashes.

    Args:
        texts: In the order in which they count.

    Returns:
        ``KEY_BYTES`` bytes.
    """
    digest = hashlib.blake2b(digest_size=KEY_BYTES)
    for text in texts:
        digest.update(hashlib.blake2b(text.encode()).digest())
    return digest.digest()


def fingerprint(text: str, key: bytes, longest: int) -> set[int]:
    """Hashes of all n-grams of a text's words.

    Args:
        text: What is looked at.
        key: Without it the hashes cannot be made.
        longest: n runs from 1 to it.

    Returns:
        A number for each n-gram.
    """
    words = undisguised(text)
    found: set[int] = set()
    for n in range(1, longest + 1):
        for first in range(len(words) - n + 1):
            gram = " ".join(words[first : first + n]).encode()
            found.add(int.from_bytes(hashlib.blake2b(gram, digest_size=8, key=key).digest(), "big"))
    return found


def unlisted(counts: Mapping[int, int], texts: Iterable[Sequence[set[int]]]) -> dict[int, int]:
    """What of counted n-grams stands in none of the texts of some rows.

    Args:
        counts: n-gram -> how often it was met.
        texts: Of each row the hashes of each of its texts.

    Returns:
        The counts of those that are left.
    """
    left = set(counts)
    for prints in texts:
        left.difference_update(*prints)
    return {gram: counts[gram] for gram in left}


def most(counts: Mapping[int, int], grams: Iterable[int]) -> int:
    """The largest count among some n-grams.

    Args:
        counts: n-gram -> how often it was met.
        grams: Those that are asked about.

    Returns:
        0 if none is counted.
    """
    return max((counts[gram] for gram in grams if gram in counts), default=0)


def threshold_for(counts: Sequence[int], share: float) -> int:
    """The least number that at most a share of the counts reach.

    Args:
        counts: In any order.
        share: In [0, 1].

    Returns:
        At least 1.
    """
    highest = max(counts, default=0)
    for threshold in range(1, highest + 1):
        if np.mean(np.asarray(counts) >= threshold) <= share:
            return threshold
    return highest + 1
