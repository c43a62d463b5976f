import math
from dataclasses import replace

import pytest
from scipy.stats import hmean

from expunge.core.results import Records
from expunge.metrics.choice_probability import choice_probability
from expunge.metrics.model_utility import model_utility
from expunge.metrics.probability import probability
from expunge.metrics.rouge_l_recall import rouge_l_recall
from expunge.metrics.truth_ratio import truth_ratio


def test_harmonic_mean_of_the_nine_published_parts(unlearned):
    parts = [
        probability(unlearned, "retain"),
        *(choice_probability(unlearned, role) for role in ("real_authors", "world_facts")),
        *(
            f(unlearned, role)
            for f in (rouge_l_recall, truth_ratio)
            for role in ("retain", "real_authors", "world_facts")
        ),
    ]
    m = model_utility(unlearned)
    assert m.value == pytest.approx(hmean([p.value for p in parts]), rel=1e-12)
    assert (m.n, m.groups, m.better) == (72, 18, "higher")


def test_three_rows_by_hand(row):
    def role(name, p, rouge, ratio):
        loss = -math.log(p)
        return [
            row(name, mean_loss=loss, given={"rouge_l_recall": rouge}),
            row(name, 0, "perturbed/0", mean_loss=loss - math.log(ratio)),
        ]

    rows = Records([*role("retain", 0.5, 1.0, 0.5), *role("neighbour", 0.25, 0.5, 0.2)])
    found = model_utility(rows, roles=("retain", "neighbour"), choice=())
    assert found.value == pytest.approx(6 / (2 + 1 + 2 + 4 + 2 + 1 / 0.8))
    among = model_utility(rows, roles=("retain", "neighbour"), choice=("neighbour",))
    # p / (p + .2 p) = 1 / 1.2
    assert among.value == pytest.approx(6 / (2 + 1 + 2 + 1.2 + 2 + 1 / 0.8))


def test_one_zero_part_gives_zero(unlearned):
    silent = Records(replace(r, generated="") if r.role == "world_facts" else r for r in unlearned)
    m = model_utility(silent)
    assert m.value == 0
    assert m.interval == (0, 0)


@pytest.mark.parametrize("role", ["retain", "real_authors", "world_facts"])
def test_a_missing_part_is_said_and_never_left_out(role, unlearned):
    assert role in model_utility(Records(r for r in unlearned if r.role != role)).reason
    silent = Records(replace(r, generated=None) if r.role == role else r for r in unlearned)
    m = model_utility(silent)
    assert m.value is None
    assert f"rows of role {role} hold no generated" in m.reason
    no_wrong = Records(
        r for r in unlearned if not (r.role == role and r.variant.startswith("perturbed"))
    )
    assert f"rows of role {role} have no wrong answers" in model_utility(no_wrong).reason


def test_paraphrases_of_other_rows_are_refused(unlearned):
    rows = Records(
        replace(r, id="elsewhere" + r.id) if r.role == "retain" and r.variant != "answer" else r
        for r in unlearned
    )
    assert model_utility(rows).reason.endswith(
        "answers and paraphrases of role retain are not the same rows"
    )
