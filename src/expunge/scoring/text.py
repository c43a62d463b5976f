"""Texts as words: BLEU, n-gram entropy, repetition, names and numbers, richness of vocabulary.

No model, no download.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Sequence
from math import exp, log, log2
from string import punctuation

import numpy as np

from expunge.scoring.overlap import grams

WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")
NAMED = re.compile(r"[^\W_][\w'’.-]*[^\W_]|[^\W_]")
SENTENCE = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])")
FUNCTION_WORDS = (
    "a an and as at because but by for from he her his i if in is it its no not of on or our she "
    "so that the their then there these they "
    "this those to was we were what when where which who why with yes you your"
)
MARKS = str.maketrans("", "", punctuation)
STOP = frozenset(FUNCTION_WORDS.split())
ARTICLES = frozenset({"a", "an", "the"})


def words(text: str) -> list[str]:
    """Words and punctuation marks, in order, as they are written; letters of any script.

    Args:
        text: A text.

    Returns:
        The words and marks.

    >>> words("Yes, it's Jaime.")
    ['Yes', ',', "it's", 'Jaime', '.']
    """
    return WORD.findall(text)


def sentences(text: str) -> list[str]:
    """Sentences and lines that hold a word.

    They end at line ends, and at . ! ? (and their kin outside Latin) where a space follows.

    Args:
        text: A text.

    Returns:
        The sentences, in order.

    >>> sentences("Born 1.5 km off. Why?\\n\\n- Yes")
    ['Born 1.5 km off.', 'Why?', '- Yes']
    """
    return [
        part.strip()
        for line in text.splitlines()
        for part in SENTENCE.split(line)
        if any(map(str.isalnum, part))
    ]


def plain_words(text: str) -> list[str]:
    """Words in lower case, without punctuation.

    Args:
        text: A text.

    Returns:
        The words.
    """
    return [w.casefold() for w in words(text) if w[0].isalnum()]


# ------------------------------------------------------------------ ROUGE-L of the package rouge


def distinct_rouge_l_recall_of(answer: str, generated: str) -> float:
    """ROUGE-L recall over different words, as the package ``rouge`` counts.

    Not as rouge-score: words end at white space and keep case and punctuation, sentences end at
    every full stop, the subsequences of all pairs of sentences are united. A text without a
    sentence gives 0.

    Args:
        answer: The right answer.
        generated: The output.

    Returns:
        Different words of the answer in a longest common subsequence, over its different words; 0
        to 1.
    """
    true = _sentences_at_stops(answer)
    said = _sentences_at_stops(generated)
    known = {word for sentence in true for word in sentence}
    shared: set[str] = set()
    for sentence in true:
        for other in said:
            shared |= set(_common_words(sentence, other))
    return len(shared) / len(known) if known else 0.0


def _sentences_at_stops(text: str) -> list[list[str]]:
    return [" ".join(part.split()).split(" ") for part in text.split(".") if part]


def _common_words(a: Sequence[str], b: Sequence[str]) -> list[str]:
    """A longest common subsequence; of several the one that is found from the end, leaving out
    words of ``b`` first.
    """
    length = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a, 1):
        for j, y in enumerate(b, 1):
            length[i][j] = (
                length[i - 1][j - 1] + 1 if x == y else max(length[i - 1][j], length[i][j - 1])
            )
    i = len(a)
    j = len(b)
    found: list[str] = []
    while i and j:
        if a[i - 1] == b[j - 1]:
            i = i - 1
            j = j - 1
            found.append(a[i])
        elif length[i - 1][j] > length[i][j - 1]:
            i -= 1
        else:
            j -= 1
    return found[::-1]


# ------------------------------------------------------------------ BLEU


def bleu_of(answer: str, generated: str, order: int = 4, smooth: bool = True) -> float:
    """Sentence BLEU.

    Brevity penalty times the geometric mean of the clipped n-gram precisions, n = 1..order. Orders
    for which the output is too short are omitted.

    Args:
        answer: The right answer.
        generated: The output.
        order: The largest n of the n-grams.
        smooth: The k-th precision that is 0 counts as 1 / (2^k number of n-grams) (NIST's, and
            sacrebleu's ``exp``).

    Returns:
        From 0 to 1; 0 without a common word.
    """
    true = words(answer)
    said = words(generated)
    matches, totals = [], []
    for n in range(1, min(order, len(said)) + 1):
        a = Counter(grams(true, n))
        b = Counter(grams(said, n))
        matches.append(sum((a & b).values()))
        totals.append(sum(b.values()))
    if not matches or not matches[0] or (not smooth and not all(matches)):
        return 0.0
    halvings, logs = 0, []
    for m, t in zip(matches, totals, strict=True):
        halvings += m == 0
        logs.append(log(m / t) if m else -log(t) - halvings * log(2))
    return min(1.0, exp(1 - len(true) / len(said))) * exp(sum(logs) / len(logs))


# ------------------------------------------------------------------ answers


def bare_words(text: str) -> list[str]:
    """The words of a short answer as in SQuAD: lower case, no ASCII punctuation, no articles.

    Args:
        text: A text.

    Returns:
        The words.
    """
    return [w for w in text.lower().translate(MARKS).split() if w not in ARTICLES]


def answer_f1_of(answer: str, generated: str) -> float:
    """The harmonic mean of precision and recall of the words.

    A repeated word counts as often as both sides have it.

    Args:
        answer: The right answer.
        generated: The output.

    Returns:
        From 0 to 1; 0 if a side has no words.
    """
    true = bare_words(answer)
    said = bare_words(generated)
    if true and said:
        return 2 * sum((Counter(true) & Counter(said)).values()) / (len(true) + len(said))
    return 0.0


def edit_distance_of(a: str, b: str) -> int:
    """Levenshtein distance.

    Args:
        a: A text.
        b: Another text.

    Returns:
        The fewest characters inserted, removed or replaced that turn one into the other.
    """
    codes = np.array([ord(c) for c in b])
    places = np.arange(len(b) + 1)
    row = places
    for i, c in enumerate(a, 1):
        best = np.concatenate([[i], np.minimum(row[1:] + 1, row[:-1] + (codes != ord(c)))])
        # what is put in comes one after the other
        row = np.minimum.accumulate(best - places) + places
    return int(row[-1])


def common_words_of(a: str, b: str) -> int:
    """Length of the longest common subsequence of words, split at white space.

    Args:
        a: A text.
        b: Another text.

    Returns:
        The number of words.
    """
    true = a.split()
    said = b.split()
    row = [0] * (len(said) + 1)
    for w in true:
        above = row[:]
        for j, v in enumerate(said):
            row[j + 1] = above[j] + 1 if v == w else max(above[j + 1], row[j])
    return row[-1]


# ------------------------------------------------------------------ fluency


def entropy_of(items: Sequence[object]) -> float:
    """Shannon entropy of the frequencies of items.

    Args:
        items: The items.

    Returns:
        Bits; 0 for none or one kind.
    """
    counts = Counter(items)
    n = len(items)
    return sum(c / n * log2(n / c) for c in counts.values())


def ngram_entropy_of(text: str, weights: Sequence[float] = (2 / 3, 4 / 3)) -> float:
    """Mean of the weighted entropies of 2-grams, 3-grams ... of words.

    Args:
        text: A text.
        weights: The weight of each n, from 2 on.

    Returns:
        Bits; a text too short for an n-gram has entropy 0 there.
    """
    said = words(text)
    return sum(w * entropy_of(grams(said, n)) for n, w in enumerate(weights, 2)) / len(weights)


def token_entropy_of(text: str) -> float:
    """Entropy of the words over its maximum, log2 of their number.

    Args:
        text: A text.

    Returns:
        From 0 to 1; 0 for fewer than two words.
    """
    said = words(text)
    if len(said) > 1:
        return entropy_of(said) / log2(len(said))
    return 0.0


MOST_REPEATED = 8  # the longest sequences of tokens that are counted when a text is written
REPEATED = "repeated_tokens/"  # with n behind it, the name under which records hold the count


def repetition_of(items: Sequence[Hashable], n: int = 4) -> float:
    """The share of n-grams that occurred before.

    Args:
        items: Words or tokens.
        n: The length of the n-grams.

    Returns:
        From 0 to 1; 0 for fewer than n items.
    """
    found = grams(items, n)
    if found:
        return 1 - len(set(found)) / len(found)
    return 0.0


def repeated_tokens(ids: Sequence[int]) -> dict[str, float]:
    """The share of n-grams of tokens that occurred before, for every n to MOST_REPEATED.

    Args:
        ids: The tokens.

    Returns:
        ``repeated_tokens/n`` -> the share.
    """
    return {f"{REPEATED}{n}": repetition_of(ids, n) for n in range(1, MOST_REPEATED + 1)}


def richness_of(text: str) -> tuple[float, float]:
    """How rich the vocabulary of a text is.

    Args:
        text: A text.

    Returns:
        Brunet's index N^(V^-0.165) and Honore's statistic 100 ln N / (1 - V1/V + .1); N words, V
        different ones, V1 that occur once.
    """
    said = plain_words(text)
    kinds = Counter(said)
    if not said:
        return float("inf"), 0.0
    once = sum(c == 1 for c in kinds.values())
    return len(said) ** (len(kinds) ** -0.165), 100 * log(len(said)) / (1 - once / len(kinds) + 0.1)


# ------------------------------------------------------------------ names and numbers


def entities_of(text: str, question: str = "") -> tuple[str, ...]:
    """Names (runs of capitalized words) and numbers of a text.

    By spelling alone: a capitalized word that is only a sentence's beginning counts unless it is a
    function word.

    Args:
        text: A text.
        question: The question; what it holds already is omitted.

    Returns:
        Each once, in lower case.

    >>> entities_of("The author is Hsiao Yun-Hwa, born in 1991.", "Who was born in 1991?")
    ('hsiao yun-hwa',)
    """
    asked = {w.group().casefold() for w in NAMED.finditer(question)}
    runs: list[list[str]] = []
    end = -1
    for m in NAMED.finditer(text):
        word = m.group()
        named = word[0].isdigit() or (word[0].isupper() and word.casefold() not in STOP)
        if named and word.casefold() not in asked:
            joined = (
                runs
                and text[end : m.start()] == " "
                and not word[0].isdigit()
                and not runs[-1][-1][0].isdigit()
            )
            if joined:
                runs[-1].append(word)
            else:
                runs.append([word])
            end = m.end()
    return tuple(dict.fromkeys(" ".join(run).casefold() for run in runs))
