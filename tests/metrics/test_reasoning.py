"""R-TOFU's two aggregates, held against scipy's harmonic mean and a plain loop over the rows."""

import numpy as np
import pytest
from rouge_score.rouge_scorer import RougeScorer
from scipy.stats import entropy, hmean

from expunge.core.results import Record, Records
from expunge.metrics.forget_efficacy import forget_efficacy
from expunge.metrics.reasoning_utility import reasoning_utility

KEPT = ("retain", "real_authors", "world_facts")
SAID = ("the red bird sings", "the red the red cat", "nothing of it", "a bird sings")


def rows(role, said=SAID, near=0.5, entails=0.25):
    given = lambda i: {"semantic_similarity": near + i / 100, "entailment": entails + i / 50}
    return [
        Record(
            "m",
            role,
            f"{role}/{i}",
            f"g{i // 2}",
            "answer",
            1,
            answer="the red bird",
            generated=t,
            given=given(i),
        )
        for i, t in enumerate(said)
    ]


def by_hand(role, near=0.5, entails=0.25):
    """(ROUGE-L recall, entropy of words over log2 of their number, similarity, entailment): means
    over the rows.
    """
    scorer, found = RougeScorer(["rougeL"], use_stemmer=True), []
    for i, text in enumerate(SAID):
        words = text.split()
        counts = [words.count(w) for w in set(words)]
        found.append(
            (
                scorer.score("the red bird", text)["rougeL"].recall,
                entropy(counts, base=2) / np.log2(len(words)),
                near + i / 100,
                entails + i / 50,
            )
        )
    return np.mean(found, axis=0)


def test_utility_is_the_harmonic_mean_of_all_parts():
    records = Records([r for k, role in enumerate(KEPT) for r in rows(role, near=0.3 + k / 10)])
    parts = np.concatenate([by_hand(role, near=0.3 + k / 10) for k, role in enumerate(KEPT)])
    m = reasoning_utility(records)
    assert m.value == pytest.approx(hmean(parts)) and [*m.parts.values()] == pytest.approx(parts)
    assert m.n == 12 and m.groups == 6 and m.interval[0] <= m.value <= m.interval[1]
    assert reasoning_utility(records, roles=("retain",)).value == pytest.approx(hmean(parts[:4]))


def test_efficacy_is_the_harmonic_mean_of_what_is_gone():
    rouge, _, near, entails = by_hand("forget")
    assert forget_efficacy(Records(rows("forget"))).value == pytest.approx(
        hmean([1 - rouge, 1 - near, 1 - entails])
    )


def test_both_ends():
    knows = Records(rows("forget", ["the red bird"] * 4, near=1.0, entails=1.0))
    # a cosine below 0 counts as 0
    gone = Records(rows("forget", ["no idea at all"] * 4, near=-0.5, entails=-1.0))
    assert forget_efficacy(knows).value == 0.0 and forget_efficacy(gone).value == 1.0
    one = reasoning_utility(
        Records(rows("retain", ["the red bird"] * 4, near=1.0, entails=1.0)), roles=("retain",)
    )
    assert one.value == pytest.approx(1.0)
    silent = reasoning_utility(Records(rows("retain", [""] * 4)), roles=("retain",))
    assert silent.value == 0.0  # an empty text is no NaN


def test_what_is_missing_is_named_with_its_option():
    bare = Records([Record("m", "forget", "a", "a", "answer", 1, answer="x y", generated="x")])
    assert (
        forget_efficacy(bare).reason
        == "semantic_similarity of role forget needs another model on this machine; give --encoder "
        "FOLDER"
    )
    assert reasoning_utility(bare).reason == "no rows of role retain; give --retain"
