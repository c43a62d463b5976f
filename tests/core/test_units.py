"""Margins belong to metrics: one table of units, every card names its own, and a scale moves the
margin with the values.
"""

import numpy as np
import pytest

from expunge import registry
from expunge.core.card import Call
from expunge.core.results import Measurement, Record, Records
from expunge.core.units import UNITS
from expunge.evaluation.compare import compared
from expunge.evaluation.metric import judged
from expunge.pipeline.settings import judge
from expunge.report.compare import against


@pytest.mark.parametrize("name", registry.names("metrics"))
def test_every_metric_names_a_unit_that_is_known(name):
    card = registry.member("metrics", name).card
    assert card.get("unit", "") in UNITS
    assert card.get("grows", "") in ("", "knowledge")


def test_margins():
    of = {
        name: UNITS[registry.member("metrics", name).card.get("unit", "")].margin
        for name in registry.names("metrics")
    }
    assert of["probability"] == of["leak_probability"] == of["mia_loss"] == 0.05
    assert of["unlearn_success"] == 5.0  # points
    assert of["klom"] == 0.1  # nats
    assert of["common_words"] is None and of["privleak"] is None


def texts(share, subject):
    """Answers of ten words of which a share is written, one row a group."""
    said = [" ".join(f"w{i}" for i in range(round(10 * s))) for s in share]
    answer = " ".join(f"w{i}" for i in range(10))
    rows = enumerate(said)
    return [
        Record(
            subject,
            "forget",
            str(i),
            str(i),
            "answer",
            2,
            answer=answer,
            generated=t,
            logp=np.log([0.5] * 2),
        )
        for i, t in rows
    ]


def test_a_metric_in_percent_has_its_margin_in_points_and_can_be_equal():
    shares = np.tile([0.2, 0.4, 0.6, 0.8], 15)
    moved = shares + np.tile([0.0, 0.1, 0.0, -0.1, 0.0], 12)
    mine, gold = Records(texts(moved, "unlearned")), Records(texts(shares, "gold"))
    judges = [judge(Call("rouge_l_f1", {"scale": scale}), "forget") for scale in (1.0, 100.0)]
    for j, margin in zip(judges, (0.05, 5.0), strict=True):
        results = judged([j], mine, gold)
        assert results[j.key].margin == margin and results[j.key].as_json()["margin"] == margin
        b = compared([j], results, gold)[j.key]
        # in percent .05 points could never be met
        assert b.margin == margin and b.equal, (b.difference, b.bound)


def test_standing_above_gold_is_told_in_the_unit_of_the_metric():
    points = Measurement(23.0, 40, 40, (22.0, 24.0), "gold", margin=5.0)
    assert against(points, 20.0) == "within" and against(points, 16.0) == "above"
    share = Measurement(0.23, 40, 40, (0.22, 0.24), "gold", margin=0.05)
    assert against(share, 0.20) == "within" and against(share, 0.16) == "above"
