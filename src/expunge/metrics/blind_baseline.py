"""Blind baseline: how well the words alone separate forget from holdout rows, without a model."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Ge

from expunge.core.card import Card
from expunge.core.results import Measurement, Record, Records, unscored
from expunge.scoring.aggregate import membership_auc
from expunge.scoring.per_row import lacking, no_rows
from expunge.scoring.text import plain_words

card = Card(
    paper="Das, Zhang, Tramer 2024",
    url="https://arxiv.org/abs/2406.16201",
    where="blind baselines: bag of words",
    family=("membership",),
    evidence="oracle",
    better=0.5,
    unit="auc",
    needs=("teacher_forced",),
    reads=("forget", "holdout"),
    whole=True,
    differs="Naive Bayes on the words of the answers, groups left out in turn.",
)

UNKNOWN = ""  # no word is empty


def blind_baseline(
    records: Records, gold: Records | None = None, *, folds: Annotated[int, Ge(2)] = 5
) -> Measurement:
    """AUC of a naive Bayes classifier of the answers' words, trained on other groups: P(forget >
    holdout), 0..1.

    Far from .5 the two sets differ in their words, and no membership score on them means
    membership. Rows are scored by a classifier that saw no row of their group. ``folds``: into how
    many parts the groups of each side are cut. ``gold`` is not used.
    """
    for role in ("holdout", "forget"):
        rows = records.of(role)
        reason = lacking(rows, role, "", ("answer",)) if rows else no_rows(role)
        if reason:
            return unscored(reason, 0.5)
    sides = [records.of("forget"), records.of("holdout")]
    words = {(r.role, r.id): plain_words(r.answer or "") for rows in sides for r in rows}
    fold: dict[tuple[str, str], int] = {}
    # by what is written, neither by place nor by name: names are hashes under a run's secret
    for rows in sides:
        texts = {
            g: sorted(words[r.role, r.id] for r in rows if r.group == g)
            for g in {r.group for r in rows}
        }
        fold |= {
            (rows[0].role, g): i % folds
            for i, g in enumerate(sorted(texts, key=lambda g: texts[g]))
        }
    models = [
        _trained(
            [[words[r.role, r.id] for r in rows if fold[r.role, r.group] != k] for rows in sides]
        )
        for k in range(folds)
    ]

    def score(r: Record) -> float:
        weights, unseen = models[fold[r.role, r.group]]
        own = words[r.role, r.id]
        return float(np.mean([weights.get(w, unseen) for w in own])) if own else 0.0

    found = membership_auc(records, "blind_baseline", score, ("answer",))
    return Measurement(found.value, found.n, found.groups, found.interval, 0.5, found.reason)


def _trained(sides: list[list[list[str]]]) -> tuple[dict[str, float], float]:
    """Log-odds of each word between the two sides, and that of a word that neither side has.

    Multinomial naive Bayes with one added to every count. The vocabulary has one entry more, which
    no text holds: it stands for every unknown word.
    """
    # here and not at the top: only this metric pays for the import
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.naive_bayes import MultinomialNB

    first, second = sides
    texts = [*first, *second]
    known = sorted({word for text in texts for word in text})
    vectorizer = CountVectorizer(analyzer=_as_it_is, vocabulary=[*known, UNKNOWN])
    labels = [1] * len(first) + [0] * len(second)
    model = MultinomialNB(fit_prior=False).fit(vectorizer.transform(texts), labels)
    odds = model.feature_log_prob_[1] - model.feature_log_prob_[0]
    return dict(zip(known, map(float, odds[:-1]), strict=True)), float(odds[-1])


def _as_it_is(words: list[str]) -> list[str]:
    return words
