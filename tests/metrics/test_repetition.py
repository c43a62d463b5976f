"""Repetition: over tokens as in the source, over words by name."""

from dataclasses import replace

import pytest
from asking import asks

from expunge.core.data import Example
from expunge.core.results import Records
from expunge.evaluation.observe import measure
from expunge.metrics.repetition import repetition
from expunge.models.causal_lm import tiny
from expunge.models.causal_lm.model import Subject
from expunge.scoring.text import repeated_tokens, repetition_of


def test_by_hand():
    assert repetition_of([7, 7, 7, 7], 1) == 0.75
    # five 4-grams, one of them twice
    assert repetition_of(["a", "b", "c", "d", "a", "b", "c", "d"], 4) == pytest.approx(1 / 5)
    assert repetition_of([1, 2, 3], 4) == repetition_of([], 1) == 0
    assert repeated_tokens([1, 2, 1, 2])["repeated_tokens/2"] == pytest.approx(1 / 3)


def test_words_and_tokens_differ(row):
    """One word said twice has no word 4-gram; of eight tokens it has five, one of them twice."""
    twice = Records([row(generated="abcd abcd", given=repeated_tokens([1, 2, 3, 4, 1, 2, 3, 4]))])
    assert repetition(twice, "forget").value == pytest.approx(1 / 5)
    assert repetition(twice, "forget", over="words").value == 0
    assert repetition(twice, "forget", n=1).value == pytest.approx(1 / 2)


def test_what_cannot_be_counted_is_said(row):
    rows = Records([row(generated="a b c d a b c d")])
    assert "over=words" in repetition(rows, "forget").reason
    assert repetition(rows, "forget", over="words").value == pytest.approx(1 / 5)
    assert "1 to 8" in repetition(rows, "forget", n=9).reason


def test_a_written_text_is_counted_by_the_models_own_tokenizer():
    rows = tuple(
        Example(f"r{i}", "forget", f"g{i}", prompt="Where to?", answer=f"To the river {i}.")
        for i in range(2)
    )
    model, tokenizer = tiny.build([e.answer for e in rows], layers=1, width=32, ffn=64, vocab=300)
    subject = Subject(model, tokenizer, "tiny")
    found = measure(
        subject, {"forget": rows}, {"forget": asks(write=True)}, max_new_tokens=24
    ).records
    ratios = []
    for r in found.of("forget"):
        ids = tokenizer(r.generated.strip())["input_ids"]  # the authors' own steps
        ngrams = [tuple(ids[i : i + 4]) for i in range(len(ids) - 3)]
        ratios.append(len(set(ngrams)) / len(ngrams) if ngrams else 1.0)
    assert repetition(found, "forget").value == pytest.approx(1 - sum(ratios) / 2)
    silent = Records(replace(r, generated=None) for r in found)
    assert "hold no generated" in repetition(silent, "forget").reason
