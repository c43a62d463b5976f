"""GA + KL by hand: the direction of the divergence."""

import pytest
from napkin import a_pass
from torch import tensor

from expunge.losses.inputs import loss_of
from expunge.losses.terms import cross_entropy
from expunge.methods.ga_kl import ga_kl


# start (.5, .5), now (.9, .1): .510826; the other direction is .368064, the cross-entropy 1.203973
def test_forward_kl_of_a_coin():
    p = a_pass(
        logits=tensor([[0.9, 0.1]]).double().log(),
        labels=[0],
        teacher=tensor([[0.5, 0.5]]).double().log(),
        stream="retain",
    )
    assert loss_of(ga_kl().terms[1], p).item() == pytest.approx(0.510826, abs=1e-6)
    assert loss_of(cross_entropy(), p).item() == pytest.approx(1.203973, abs=1e-6)


def test_the_question_counts_by_default():
    assert ga_kl().terms[1].span == "all" and ga_kl(positions="answer").terms[1].span == "answer"
