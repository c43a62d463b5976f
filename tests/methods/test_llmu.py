"""LLMU by hand, and the faults of the reference code shown absent."""

from math import log

import pytest
from napkin import a_pass

from expunge.core.data import Example
from expunge.losses.inputs import loss_of
from expunge.methods.llmu import llmu
from expunge.synthesis.tools import Tools


def test_half_an_ascent_per_answer():  # (log .5 + (log .2 + log .8) / 2) / 2 rows, times .5
    ascend = llmu()[-1].terms[0]
    p = a_pass(p=[[0.5, 0.5], [0.2, 0.8]], mask=[[True, False], [True, True]])
    assert loss_of(ascend, p).item() == pytest.approx(
        0.5 * (log(0.5) + (log(0.2) + log(0.8)) / 2) / 2
    )


def test_the_mismatch_of_the_true_answer_undoes_the_ascent():
    ascend, mismatch, _ = llmu(forget_weight=1.0)[-1].terms
    p = a_pass(p=[0.3, 0.9])
    assert loss_of(ascend, p).item() + loss_of(mismatch, p).item() == pytest.approx(0.0)


def test_weights_leave_terms_out():
    assert [t.name for t in llmu(mismatch_weight=0.0)[-1].terms] == [
        "ascent/forget",
        "kl/retain",
    ] and len(llmu(mismatch_weight=0.0)) == 1
    kl = llmu(forget_weight=0.0, mismatch_weight=0.0)[-1].terms[0]
    assert kl.provider.sources == ("start",)


def test_questions_are_not_trained_and_each_row_has_answers_of_its_own():
    """The reference code begins at token 2 of the question, and one draw of answers serves the
    whole batch.
    """
    prepare, learn = llmu(mismatches_per_row=2)
    assert all(t.span == "answer" for t in learn.terms if t.name != "kl/retain")
    forget = tuple(Example(f"f{i}", "forget", f"g{i}", f"a {i}", f"q {i}") for i in range(8))
    retain = tuple(Example(f"r{i}", "retain", f"h{i}", f"b {i}", f"p {i}") for i in range(30))
    made = prepare.fn({"forget": forget, "retain": retain}, Tools())
    assert len({tuple(e.answer for e in made if e.id == f.id) for f in forget}) == 8
    assert all(e.answer.startswith("b ") for e in made)
