import gzip
import json

import pytest
from rouge_score.rouge_scorer import RougeScorer

from expunge.core.results import Records
from expunge.metrics.rouge_l_f1 import rouge_l_f1


def one(row, answer, generated, **kw):
    return rouge_l_f1(Records([row(answer=answer, generated=generated)]), "forget", **kw).value


def test_ends(row):
    assert one(row, "lives in Taipei", "lives in Taipei") == 1
    assert one(row, "lives in Taipei", "") == 0
    assert one(row, "lives in Taipei", "lives in Taipei", scale=100.0) == 100


def test_by_hand(row):  # LCS 2 of 4 and of 8: P = 1/4, R = 1/2, F = 1/3
    assert one(row, "a b c d", "a x x x b x x x") == pytest.approx(1 / 3)


def test_what_comes_after_is_not_scored(row):
    said = "1472\n\nQuestion: What is next?\nAnswer: nothing"
    assert one(row, "1472", said, until=("\n\n", "\nQuestion", "Question:")) == 1
    assert one(row, "1472", said) < 0.5
    # cut at once: nothing was said
    assert one(row, "1472", "Question: 1472", until=("\n\n", "Question:")) == 0


def test_no_stemmer_unless_asked(row):
    assert one(row, "she writes novels", "she writing novel") == pytest.approx(1 / 3)
    assert one(row, "she writes novels", "she writing novel", stemmer=True) == 1


def test_against_the_package(unlearned):
    scorer = RougeScorer(["rougeL"], use_stemmer=False)
    found = [scorer.score(r.answer, r.generated)["rougeL"].fmeasure for r in unlearned.of("forget")]
    assert rouge_l_f1(unlearned, "forget").value == pytest.approx(
        sum(found) / len(found), rel=1e-12
    )


def test_equal_to_the_published_log(row, shared):
    """The short answers of MUSE News: every score, and the mean over the hundred."""
    log = json.loads(
        gzip.decompress((shared / "data/muse_eval_logs/News_target.EVAL.json.gz").read_bytes())
    )
    for metric, mean in (
        ("forget_knowmem_ROUGE", 0.6443370108563606),
        ("retain_knowmem_ROUGE", 0.5551912235837844),
    ):
        entries = [e for e in log[metric]["value_by_index"].values() if "generation" in e]
        if not entries:
            pytest.skip("the log holds no texts")
        rows = Records(
            row(i=i, answer=e["ground_truth"], generated=e["generation"])
            for i, e in enumerate(entries)
        )
        for r, e in zip(rows, entries, strict=True):
            assert rouge_l_f1(Records([r]), "forget", stemmer=True).value == e["rougeL_f1"]
        assert len(rows) == 100 and rouge_l_f1(rows, "forget", stemmer=True).value == pytest.approx(
            mean, rel=1e-12
        )
