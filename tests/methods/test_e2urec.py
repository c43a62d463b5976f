"""E2URec by hand."""

import pytest
import torch
from torch import tensor

from expunge.core.stages import streams_of
from expunge.methods.e2urec import card, e2urec


# (2,-1,-1)/3 - 2 relu((5,-1,-4)/3) = (-8,-1,-1)/3; what is kept is told by the start itself
def test_two_teachers():
    forget, _, keep = e2urec()[1].terms
    made = forget.provider.edit((tensor([[1.0, 0, 0]]), tensor([[3.0, 0, -1]])), tensor([0]))
    assert made[0].tolist() == pytest.approx([-8 / 3, -1 / 3, -1 / 3])
    assert (
        forget.provider.sources == ("start", "reinforced")
        and forget.streams == ("forget",)
        and keep.streams == ("retain",)
    )
    assert keep.provider.sources == ("start",) and keep.provider.edit is None


def test_the_authors_script_for_movielens():
    """alpha 2, weight .6; a first phase of forget alone; the copy learns the forget rows at a rate
    of its own, 5e-5.
    """
    reinforce, learn = e2urec()
    assert [round(t.coef, 9) for t in learn.terms] == [0.4, 0.6, 0.6] and learn.anchor == "forget"
    assert learn.controller.factors({}, 0.19) and not learn.controller.factors({}, 0.2)
    assert [t.streams for t in reinforce.terms] == [("forget",)] and reinforce.into == "reinforced"
    preset = card.settings["movielens"]
    assert {k: preset[k] for k in ("lr", "batch", "weight", "alpha", "reinforce_lr")} == {
        "lr": 1e-3,
        "batch": 16,
        "weight": 0.6,
        "alpha": 2.0,
        "reinforce_lr": 5e-5,
    }


def test_the_weight_stands_before_each_side():
    terms = e2urec(weight=0.7)[1].terms
    assert [(t.name, round(t.coef, 9)) for t in terms] == [
        ("ce/forget", 0.3),
        ("nll/retain", 0.7),
        ("ce/retain", 0.7),
    ]


def test_first_the_forget_term_alone_then_both():
    factors = e2urec(forget_share=0.25)[1].controller.factors
    assert factors({}, 0.0) == factors({}, 0.24) == {"nll/retain": 0.0, "ce/retain": 0.0}
    assert factors({}, 0.25) == factors({}, 1.0) == {}


def test_with_all_weight_on_what_is_kept_no_forget_row_is_read():
    assert streams_of(e2urec(weight=1.0)) == {"retain"}


def test_without_weight_on_what_is_kept_no_retain_row_is_read():
    assert streams_of(e2urec(weight=0.0)) == {"forget"}


def test_first_phase_in_the_real_loop(tmp_path):
    """While only the forget term counts, the steps are those of a run without the others."""
    from dataclasses import replace

    from small import small_subject, streams

    from expunge.training.sampler import Training
    from expunge.training.trainer import descend

    both, alone = (e2urec(weight=w, forget_share=1.0)[1] for w in (0.6, 0.0))
    alone = replace(alone, terms=(0.4 * alone.terms[0],))
    ends = [
        descend(
            small_subject(),
            s,
            streams(),
            Training(lr=1e-2, steps=3, batch=4),
            tmp_path / str(i),
            auxiliaries={"reinforced": small_subject(2)},
        )
        for i, s in enumerate((both, alone))
    ]
    for a, b in zip(*(s.model.parameters() for s in ends)):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
