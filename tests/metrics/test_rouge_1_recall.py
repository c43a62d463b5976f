"""ROUGE-1 recall by hand and on published pairs."""

import gzip
import json

import pytest

from expunge.core.results import Records
from expunge.metrics.rouge_1_recall import rouge_1_recall


def one(metric, row, answer, generated, role="forget", **kw):
    return metric(Records([row(role, answer=answer, generated=generated)]), role, **kw).value


def test_rouge_1_is_a_bag_of_words(row):
    assert one(rouge_1_recall, row, "a b c d", "d c b a") == 1
    assert one(rouge_1_recall, row, "she writes novels", "she writing novel") == 1
    assert one(
        rouge_1_recall, row, "she writes novels", "she writing novel", stemmer=False
    ) == pytest.approx(1 / 3)
    # each as often as it has it
    assert one(rouge_1_recall, row, "the the the", "the") == pytest.approx(1 / 3)


def test_rouge_1_is_exact_on_published_pairs(row, shared):
    path = (
        shared
        / "data/tofu_eval_logs/open_unlearning/Llama-3.2-1B-Instruct_full_forget10.EVAL.json.gz"
    )
    entries = list(
        json.loads(gzip.decompress(path.read_bytes()))["forget_Q_A_ROUGE"][
            "value_by_index"
        ].values()
    )
    for e in entries:
        assert one(rouge_1_recall, row, e["ground_truth"], e["generation"]) == e["rouge1_recall"]
