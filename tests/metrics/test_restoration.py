"""RESTOR's read-out, and its point: a task vector restores, ascent only removes."""

import numpy as np
import pytest

from expunge.core.results import Records
from expunge.metrics.restoration import restoration


def options(row, scores, i=0, right=0, tokens=None):
    return row(
        "facts",
        i,
        "texts",
        options=list(map(float, scores)),
        option_tokens=tokens or [1] * len(scores),
        right=right,
    )


def test_three_ways(row):
    rows = Records(
        [
            options(row, s, i)
            for i, s in enumerate(([3, 1, 0, 0], [1, 3, 0, 0], [1, 0, 3, 0], [4, 1, 0, 0]))
        ]
    )
    m = restoration(rows, "facts")
    assert m.value == 0.5
    assert {k: m.parts[k] for k in ("recovered", "corrupted", "neither")} == {
        "recovered": 0.5,
        "corrupted": 0.25,
        "neither": 0.25,
    }
    p = np.exp([3, 1, 0, 0]) / np.exp([3, 1, 0, 0]).sum()
    alone = restoration(Records([rows[0]]), "facts").parts
    assert alone["probability of recovered"] == pytest.approx(p[0]) and alone[
        "probability of corrupted"
    ] == pytest.approx(p[1])


def test_length_counts_only_as_asked(row):
    rows = Records([options(row, [-4, -3], tokens=[4, 1])])
    assert restoration(rows, "facts").value == 1 and restoration(rows, "facts", by="sum").value == 0


def test_a_task_vector_restores_and_ascent_only_removes(row):
    """A linear associative memory: keys are orthonormal, the answer is the row that the memory
    gives back.
    """
    rng = np.random.default_rng(0)
    keys = np.linalg.qr(rng.normal(size=(32, 32)))[0][:8]
    true, false = rng.integers(0, 10, 8), rng.integers(10, 20, 8)
    one_hot = np.eye(30)
    clean = one_hot[true].T @ keys * 5
    corrupted = clean + (one_hot[false] - one_hot[true]).T @ keys * 5
    taught = corrupted - clean
    negated, ascended = corrupted - taught, corrupted - 10 * one_hot[false].T @ keys

    def read(memory):
        scores = (memory @ keys.T).T
        picked = [[t, f, 21, 22] for t, f in zip(true, false)]
        return restoration(
            Records([options(row, s[p], i) for i, (s, p) in enumerate(zip(scores, picked))]),
            "facts",
        ).parts

    assert read(clean)["recovered"] == 1 and read(corrupted)["corrupted"] == 1
    assert read(negated)["recovered"] == 1
    assert read(ascended)["corrupted"] == 0 and read(ascended)["probability of recovered"] < 0.5


def test_what_is_missing_is_said(row):
    assert (
        "have no corrupted option at place 1"
        in restoration(Records([options(row, [1, 2], right=1)]), "facts").reason
    )
    assert "no finite value" in restoration(Records([options(row, [np.nan, 2])]), "facts").reason
    assert (
        "hold no scores of options"
        in restoration(Records([row("facts", mean_loss=1.0)]), "facts").reason
    )
