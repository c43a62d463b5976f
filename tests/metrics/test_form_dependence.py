import math

import pytest

from expunge.core.results import Records
from expunge.metrics.form_dependence import form_dependence

ROLES = ("forget_qa", "forget_cloze", "forget_choice")


def rows(row, leaks):
    """``leaks``: role -> losses of the same facts."""
    return Records(
        row(role, i, group=str(i), mean_loss=-math.log(p))
        for role, ps in leaks.items()
        for i, p in enumerate(ps)
    )


def test_by_hand(row):
    records = rows(row, dict(zip(ROLES, ([0.1, 0.3], [0.5, 0.7], [0.3, 0.5]))))
    m = form_dependence(records, None, roles=ROLES, leak="probability")
    assert m.value == pytest.approx(0.5 - 0.2)  # others .6 and .4, unlearned form .2
    assert m.parts == pytest.approx({"forget_qa": 0.2, "forget_cloze": 0.6, "forget_choice": 0.4})
    assert m.groups == 2 and m.n == 6


def test_ends(row):
    same = rows(row, {r: [0.2, 0.4, 0.9] for r in ROLES})
    m = form_dependence(same, None, roles=ROLES, leak="probability")
    # facts are drawn together over forms
    assert m.value == pytest.approx(0) and m.interval == pytest.approx((0, 0), abs=1e-12)
    worst = rows(row, {"forget_qa": [1e-9] * 3, "forget_cloze": [1.0] * 3})
    assert form_dependence(worst, None, roles=ROLES[:2], leak="probability").value == pytest.approx(
        1
    )


def test_what_gold_guesses_is_taken_off(row):
    records = rows(row, {"forget_qa": [0.1, 0.1], "forget_cloze": [0.5, 0.5]})
    gold = rows(row, {"forget_qa": [0.1, 0.1], "forget_cloze": [0.4, 0.4]})
    assert form_dependence(
        records, gold, roles=ROLES[:2], leak="probability"
    ).value == pytest.approx(0.1)


def test_rouge_of_what_was_written(row):
    records = Records(
        row(role, i, answer="a b", generated=said)
        for role, said in (("forget", "x y"), ("forget_paraphrased", "a b"))
        for i in range(8)
    )
    assert form_dependence(records).value == 1


def test_a_form_without_rows_is_said(row):
    m = form_dependence(rows(row, {"forget_qa": [0.5, 0.5]}), None, roles=ROLES, leak="probability")
    assert (
        m.reason
        == "form dependence needs every form: no rows of role forget_cloze; add them to the folder "
        "of --data"
    )
