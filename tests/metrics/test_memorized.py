"""Perplexity, memorization accuracy, extraction likelihood, sequence probability: by hand, by brute
force, at both ends.
"""

import math

import pytest
from asking import asks

from expunge.core.results import Records
from expunge.metrics.exact_memorization import exact_memorization
from expunge.metrics.extraction_likelihood import extraction_likelihood
from expunge.metrics.memorization_accuracy import memorization_accuracy
from expunge.metrics.perplexity import perplexity
from expunge.scoring.overlap import overlap


def test_a_uniform_model_hesitates_between_all_tokens(row):
    rows = Records(row(i=i, logp=[-math.log(300)] * (i + 1)) for i in range(6))
    assert perplexity(rows, "forget").value == pytest.approx(300)


def test_tokens_not_rows_have_equal_weight(row):
    rows = Records([row(i=0, logp=[-1.0]), row(i=4, logp=[-3.0] * 3)])
    assert perplexity(rows, "forget").value == pytest.approx(math.exp(10 / 4))
    lo, hi = perplexity(rows, "forget").interval
    assert lo == 1 and hi > math.exp(3)  # two groups: no more is known than that nothing is below 1


def test_a_loss_beyond_floating_point_is_no_number(row):
    m = perplexity(Records([row(logp=[-1e4])]), "forget")
    assert m.value is None and "700" in m.reason
    assert perplexity(Records([row(logp=[0.0])]), "forget").value == 1


def test_a_log_without_token_counts_is_said(row):
    assert "how many tokens" in perplexity(Records([row(mean_loss=1.0)]), "forget").reason


def test_memorization_accuracy_is_a_mean_of_hits_in_its_window(row):
    hits = [True, False, True, True, False, True]
    rows = Records([row(hit=hits, eos=True)])
    assert memorization_accuracy(rows, "forget").value == pytest.approx(3 / 5)
    assert memorization_accuracy(rows, "forget", window=2).value == 0.5
    assert memorization_accuracy(rows, "forget", eos=True, window=0).value == pytest.approx(4 / 6)
    assert (
        memorization_accuracy(rows, "forget", window=0).value
        == exact_memorization(rows, "forget").value
    )


def test_hits_are_what_generating_token_by_token_gives():
    """The reference calls generate once per position; teacher forcing gives the same bits."""
    import torch

    from expunge.core.data import Example
    from expunge.evaluation.observe import measure
    from expunge.models.causal_lm import tiny
    from expunge.models.causal_lm.model import Subject
    from expunge.models.causal_lm.tokenize import encode

    texts = tuple(
        Example(f"t{i}", "forget", f"g{i}", text=f"Rivers run to Town{i}, and Towns to Rivers.")
        for i in range(3)
    )
    model, tokenizer = tiny.build([e.text for e in texts], layers=1, width=32, ffn=64, vocab=300)
    subject = Subject(model, tokenizer, "tiny")
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn(p.shape, generator=torch.Generator().manual_seed(0)) * 0.3)
    found = measure(subject, {"forget": texts}, {"forget": asks()}).records
    for r, row in zip(found, encode(tokenizer, texts), strict=True):
        written = []
        for t in [t for t, yes in enumerate(row.scored) if yes]:
            out = model.generate(
                torch.tensor([row.ids[:t]]),
                attention_mask=torch.ones(1, t, dtype=torch.long),
                max_new_tokens=1,
                do_sample=False,
            )
            written.append(int(out[0, -1]) == row.ids[t])
        assert list(r.hit) == written


def test_overlap_by_hand():
    assert overlap("abcd", "abcd", 2) == 1 and overlap("abcd", "wxyz", 2) == 0
    # ab twice, ba not: with multiplicity, not clipped
    assert overlap("abab", "abcd", 2) == pytest.approx(2 / 3)
    assert overlap("a", "abc", 2) == 0


def test_extraction_likelihood_is_the_mean_over_prefixes(row):
    rows = Records([row(i=0, overlap=[1.0, 0.5]), row(i=1, overlap=[0.25])])
    assert extraction_likelihood(rows, "forget").value == pytest.approx((0.75 + 0.25) / 2)
    assert extraction_likelihood(Records([row(overlap=[1.0] * 5)]), "forget").value == 1


def test_short_answers_have_no_extraction_likelihood(row):
    rows = Records([row(i=0, overlap=[1.0]), row(i=1, overlap=[])])
    m = extraction_likelihood(rows, "forget")
    assert (m.value, m.n) == (1, 1)
    m = extraction_likelihood(Records([row(overlap=[])]), "forget")
    assert m.value is None and "smaller n" in m.reason
    assert "hold no overlap" in extraction_likelihood(Records([row()]), "forget").reason


def test_a_memorized_text_has_one_and_an_untrained_model_little():
    from expunge.core.data import Example
    from expunge.evaluation.observations.extraction import Extraction
    from expunge.evaluation.observe import measure
    from expunge.models.causal_lm import tiny
    from expunge.models.causal_lm.model import Subject

    texts = tuple(
        Example(
            f"t{i}",
            "forget",
            f"g{i}",
            text=f"Rivers run to Town{i}, and Towns to Rivers number {i}.",
        )
        for i in range(2)
    )
    model, tokenizer = tiny.build([e.text for e in texts], layers=1, width=32, ffn=64, vocab=300)
    found = measure(
        Subject(model, tokenizer, "tiny"),
        {"forget": texts},
        {"forget": asks(observations=(Extraction(3, 1),))},
    )
    assert extraction_likelihood(found.records, "forget", n=3).value < 0.2
    assert found.cost.more["continuations"] > 0
