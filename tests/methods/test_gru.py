"""GRU by hand."""

import pytest
from torch import tensor
from torch.testing import assert_close

from expunge.losses.gradients import inner, norm, rectified
from expunge.methods.gru import card, gru


def asking(**sides):
    """What a rule asks: the same gradient on every side at every step."""
    return lambda side, at=None: {"w": tensor(sides[side])}


def step(forget, retain, state=None, **arguments):
    return gru(**arguments).combine(
        asking(forget=forget, retain=retain), {} if state is None else state
    )["w"]


def test_conflict_is_taken_out():  # (1, 0) against (-1, 1): (.5, .5); with + 1 x retain (-.5, 1.5)
    assert_close(step([1.0, 0.0], [-1.0, 1.0]), tensor([0.5, 0.5]))
    assert_close(step([1.0, 0.0], [-1.0, 1.0], retain_weight=1.0), tensor([-0.5, 1.5]))
    assert step([1.0, 0.0], [1.0, 1.0]).tolist() == [1.0, 0.0]


def test_the_anchor_is_an_average_of_what_was():
    """decay .5: after (0, 1) and (-2, 0) the anchor is (-1, .5), and (1, 0) loses its part along
    it: (.2, .4).
    """
    state = {}
    step([1.0, 0.0], [0.0, 1.0], state, decay=0.5)
    assert_close(step([1.0, 0.0], [-2.0, 0.0], state, decay=0.5), tensor([0.2, 0.4]))


def test_pcgrad_rectifies_both():  # (1, 0) -> (.5, .5); (-1, 1) -> (0, 1)
    assert_close(
        step([1.0, 0.0], [-1.0, 1.0], decay=0.0, both=True, retain_weight=1.0), tensor([0.5, 1.5])
    )


@pytest.mark.parametrize(
    ("cosine", "left"), [(-0.4, 0.0), (-0.5, 0.0), (-0.95, -0.8216), (0.3, 0.3)]
)
def test_a_limit_leaves_a_part_of_strong_conflicts(cosine, left):
    """The authors' orthogonal_component_COSCLIP at c = -.5: g - max(cos, c) |g| a / |a|; (-.95 +
    .5) / sqrt(.45^2 + .0975) = -.8216.
    """
    g, anchor = {"w": 3 * tensor([cosine, (1 - cosine**2) ** 0.5])}, {"w": tensor([2.0, 0.0])}
    made = rectified(g, anchor, 0.5)
    assert (inner(made, anchor) / norm(made) / norm(anchor)).item() == pytest.approx(left, abs=1e-4)
    assert norm(made) <= norm(g)
    assert_close(rectified(g, anchor, 0.0)["w"], g["w"])
    made = step([3 * cosine, 3 * (1 - cosine**2) ** 0.5], [2.0, 0.0], most=0.5)
    assert_close(made, rectified(g, anchor, 0.5)["w"])


def test_published_choices():
    """All of a conflict goes and the retain gradient is not followed; PCGrad keeps no average and
    rectifies both sides.
    """
    rule = gru().combine.keywords
    # authors' moving_avg .8 is the share of the new one
    assert rule == {"decay": 0.2, "most": 1.0, "retain_weight": 0.0, "both": False}
    assert card.published_as["pcgrad"] == {"decay": 0.0, "both": True, "retain_weight": 1.0}
    assert [(t.name, t.streams, t.coef) for t in gru().terms] == [
        ("ascent/forget", ("forget",), 1.0),
        ("nll/retain", ("retain",), 1.0),
    ]


def test_decay_is_the_share_of_what_was():
    """decay .25: after (0, 1) and (-4, 0) the anchor is (-3, .25)."""
    state = {}
    step([1.0, 0.0], [0.0, 1.0], state, decay=0.25)
    step([1.0, 0.0], [-4.0, 0.0], state, decay=0.25)
    assert state["anchor"]["w"].tolist() == [-3.0, 0.25]
