"""Relearning sees the rows of the groups that the adversary holds, and no other."""

import pytest
from zoo import FORGET, RETAIN, STREAMS, attacked, trained

from expunge.attacks.relearn import relearn
from expunge.core.data import Case
from expunge.core.stages import streams_of
from expunge.models.modules import digest_tensors
from expunge.pipeline.attack_sweep import held_by, unheld
from expunge.training.sampler import Training, plan
from expunge.training.stages import training_of

GROUPS = {r.group for r in FORGET}


def seen(share, seed=0, steps=50, rows="forget", most=0):
    """The rows that the attack meets in its steps."""
    attack = relearn(share=share, relearn_steps=steps, rows=rows, most=most)
    (stage,) = attack.stages
    held = {rows: held_by(attack, STREAMS, seed)}
    return [
        u[rows]
        for units in plan(stage, held, training_of(stage, Training(seed=seed)))
        for u in units
    ]


@pytest.mark.parametrize(("share", "held"), [(0.0, 1), (0.25, 2), (0.5, 4), (0.9, 7), (1.0, 8)])
def test_whole_groups_of_its_share_and_at_least_one(share, held):
    rows = seen(share)
    groups = {r.group for r in rows}
    assert len(GROUPS) == 8 and len(groups) == held
    assert {r.id for r in rows} == {r.id for r in FORGET if r.group in groups}


def test_the_seed_decides_which():
    assert [r.id for r in seen(0.25)] == [r.id for r in seen(0.25)]
    assert len({frozenset(r.group for r in seen(0.25, seed)) for seed in range(5)}) > 1
    few = [
        digest_tensors(attacked(trained("gold"), relearn(relearn_steps=1), seed).model)
        for seed in (0, 1)
    ]
    assert few[0] != few[1]


def test_it_reads_no_retain_rows():
    assert streams_of(relearn().stages) == {"forget"}
    assert not {r.id for r in seen(1.0)} & {r.id for r in RETAIN}


def test_at_most_so_many_rows_of_as_few_groups_as_hold_them():
    rows = {r.id: r for r in seen(1.0, most=6)}
    assert len(rows) == 6 and len({r.group for r in rows.values()}) == 2
    assert {r.id for r in seen(0.25, most=100)} == {r.id for r in seen(0.25)}


def test_benign_relearning_reads_retain_rows_and_asks_every_forget_row():
    attack = relearn(rows="retain", share=0.5)
    assert streams_of(attack.stages) == {"retain"}
    assert {r.id for r in seen(0.5, rows="retain")} < {r.id for r in RETAIN}
    case = Case(STREAMS, STREAMS)
    assert list(unheld(attack, case, STREAMS, 0)["forget"]) == FORGET


def test_its_own_settings_outrank_the_runs():
    (stage,) = relearn(relearn_steps=7, relearn_lr=2e-3, relearn_batch=5).stages
    found = training_of(
        stage, Training(lr=1.0, steps=3, batch=2, accumulate=4, schedule="linear", warmup=9, seed=6)
    )
    assert (
        found.lr,
        found.steps,
        found.step_rows,
        found.schedule,
        found.warmup,
        found.weight_decay,
    ) == (2e-3, 7, 5, "constant", 0.0, 0.0)
    assert found.seed == 6


def test_passes_over_the_rows_in_place_of_steps():
    """Two passes over 16 rows in batches of 5: two times four steps."""
    attack = relearn(relearn_epochs=2.0, relearn_batch=5, share=0.5)
    (stage,) = attack.stages
    held = {"forget": held_by(attack, STREAMS, 0)}
    assert len(plan(stage, held, training_of(stage, Training()))) == 8
    assert (attack.at, attack.axis, attack.said) == (
        2.0,
        "relearning epochs",
        "after 2 relearning epochs",
    )
