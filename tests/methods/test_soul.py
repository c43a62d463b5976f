"""SOUL: every entry moves by at most the learning rate, whatever the loss."""

import pytest
from small import small_subject, streams

from expunge.methods.soul import soul
from expunge.training.sampler import Training
from expunge.training.stages import change


@pytest.mark.parametrize("objective", ["grad_diff", "npo", "idk"])
def test_no_entry_moves_further_than_the_rate(objective, tmp_path):
    start = small_subject()
    training = Training(lr=1e-3, steps=1, batch=4, save_every=0, weight_decay=0.0)
    moved = dict(
        change(start, soul(objective), streams(), training, tmp_path).model.named_parameters()
    )
    far = [(moved[n] - p).abs().max() for n, p in start.model.named_parameters()]
    assert 0 < max(far) <= 1e-3 * (1 + 1e-3)


def test_the_objectives_read_what_they_forget():
    assert [soul(o).terms[0].streams for o in ("grad_diff", "npo", "idk")] == [
        ("forget",),
        ("forget",),
        ("alternate",),
    ]


def test_it_is_sophia_with_the_published_moments_and_threshold(tmp_path):
    """Authors' code: betas (.9, .95), rho .04; AdamW's step on a first gradient is the sign of it,
    whatever its size.
    """
    assert dict(soul().training) == {"optimizer": "sophia", "betas": (0.9, 0.95), "rho": 0.04}
    start, training = (
        small_subject(),
        Training(lr=1e-3, steps=1, batch=4, save_every=0, weight_decay=0.0, schedule="constant"),
    )
    moved = dict(
        change(start, soul(rho=1e3), streams(), training, tmp_path).model.named_parameters()
    )
    down = next(n for n in moved if "down_proj" in n)
    assert (
        moved[down] - dict(start.model.named_parameters())[down]
        # a high threshold keeps steps below the rate; AdamW moves every entry by 1e-3
    ).abs().median() < 1e-4


# authors' launcher for TOFU: gradient difference with retain weight 2
def test_the_published_weights():
    forget, retain = soul().terms
    assert (forget.name, forget.coef, retain.name, retain.coef) == (
        "ascent/forget",
        1.0,
        "nll/retain",
        2.0,
    )
    assert len(soul(retain_weight=0.0).terms) == 1


def test_npo_is_of_whole_answers():
    """A mean over answers of what each is as a whole, however long."""
    assert soul("npo").terms[0].reduction == "seqsum"
