"""A keyed preference for words: a text is marked by it as it is written, and verified by whoever
holds the key.

After every word a key splits all words into two halves by a hash; marked text prefers one half.
Text that was not marked under this key falls into it half of the time, whatever it is about, so the
excess is zero on average and its sum over n words has variance n.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

WORD = re.compile(r"\w+")


def words_of(text: str) -> list[str]:
    """The words of a text, in lower case.

    Args:
        text: A text.

    Returns:
        The words.
    """
    return WORD.findall(text.lower())


def preferred(key: str, before: str, word: str) -> bool:
    """Whether a key prefers a word after another: one bit of a hash.

    Args:
        key: The key.
        before: The word before.
        word: The word.

    Returns:
        Whether it does.
    """
    return bool(
        hashlib.blake2b(
            f"{before}\0{word}".encode(), key=key.encode()[:64], digest_size=1
        ).digest()[0]
        & 1
    )


def choose(key: str, before: str, candidates: Sequence[str]) -> str:
    """The first candidate that the key prefers.

    Args:
        key: The key.
        before: The word before.
        candidates: Words, the best first.

    Returns:
        The word; the first candidate if the key prefers none.
    """
    return next((w for w in candidates if preferred(key, before, w)), candidates[0])


def excess(text: str, key: str) -> tuple[int, int]:
    """How many more words of a text the key prefers than not.

    A word is judged by the one before it, each pair of words once. A model that repeats itself
    would else count the same pair many times, and a sum of copies is not a sum of independent
    bits.

    Args:
        text: A text.
        key: The key.

    Returns:
        Preferred words minus the others, and how many words were judged.
    """
    words = words_of(text)
    pairs = list(dict.fromkeys(pairwise(words)))
    return sum(1 if preferred(key, a, b) else -1 for a, b in pairs), len(pairs)


def strength(texts: Iterable[str], key: str) -> tuple[float, float]:
    """How strongly texts hold a watermark.

    Args:
        texts: The texts.
        key: The key.

    Returns:
        The length-weighted mean excess, -1 to 1, and z, which is standard normal if the texts do
        not depend on the key; NaN without words.
    """
    total = 0
    n = 0
    for text in texts:
        over, tokens = excess(text, key)
        total += over
        n += tokens
    if n:
        return (total / n, total / n**0.5)
    return (float("nan"), float("nan"))


def calibration(shares: Sequence[float], strengths: Sequence[float]) -> tuple[float, float, float]:
    """Strength as a straight line in the share of marked data in training.

    Args:
        shares: The share of the marked data that each model was trained on.
        strengths: The strength measured of each.

    Returns:
        Slope, intercept and R^2.
    """
    x = np.asarray(shares, dtype=np.float64)
    y = np.asarray(strengths, dtype=np.float64)
    slope, intercept = np.polyfit(x, y, 1)
    left = float(((y - (slope * x + intercept)) ** 2).sum())
    spread = float(((y - y.mean()) ** 2).sum())
    return float(slope), float(intercept), 1 - left / spread if spread else 1.0
