"""IdkDPO by hand."""

from math import exp, log

import pytest
from napkin import a_pass

from expunge import registry
from expunge.core.card import Call
from expunge.core.data import Case, Example, Row
from expunge.core.errors import Refused
from expunge.core.requests import UnlearnRequest
from expunge.core.stages import stages
from expunge.methods.idk_dpo import idk_dpo
from expunge.pipeline.settings import preset_of, training_settings
from expunge.pipeline.training_inputs import TrainingInputs
from expunge.synthesis.tools import Tools
from expunge.training.sampler import plan


def rewards(win, lose, beta=0.1):
    """The term at log-ratios ``win`` and ``lose``, start at e^-20 for both."""
    start = exp(-20.0)
    term = idk_dpo(beta=beta).terms[0]
    return term(
        a_pass(p=[exp(win - 20)], start=[start], stream="alternate"),
        a_pass(p=[exp(lose - 20)], start=[start]),
    ).item()


def test_known_rewards():  # (2/beta) log(1 + exp(-beta (3 + 2))) and 20 ln 2 at the start
    assert rewards(3, -2) == pytest.approx(9.481540, abs=1e-5)
    assert rewards(0, 0) == pytest.approx(13.862944, abs=1e-5)


# AltPO with refusals for alternates is IdkDPO
def test_generated_winners_change_the_rows_and_nothing_else():
    write, learn = idk_dpo(winner="swapped")
    plain = idk_dpo()
    assert [(t.name, t.streams, t.reduction, t.coef) for t in learn.terms] == [
        (t.name, t.streams, t.reduction, t.coef) for t in plain.terms
    ]
    assert write.stream == "alternate" and not write.needs
    win, lose = a_pass(p=[0.3], start=[0.2], stream="alternate"), a_pass(p=[0.5], start=[0.6])
    assert learn.terms[0](win, lose).item() == plain.terms[0](win, lose).item()
    rows = {"forget": (Example("f", "forget", "g", "It was in 1901.", "When?"),), "retain": ()}
    made = write.fn(rows, Tools())
    assert len(made) == 5 and all(e.answer != "It was in 1901." and e.id == "f" for e in made)


def test_the_simpler_forms():
    names = lambda form: [(t.name, t.streams) for t in idk_dpo(form=form, forget_weight=0.5).terms]
    kept = [("nll/alternate", ("alternate",)), ("nll/retain", ("retain",))]
    assert names("sub") == kept
    assert names("subdiff") == [("ascent/forget", ("forget",)), *kept]
    assert names("subnpo") == [("forget", ("forget",)), *kept]
    npo = idk_dpo(form="subnpo", beta=1.0).terms[0]
    # NPO's number on a napkin
    assert npo(a_pass(p=[0.5, 0.2], start=[0.5, 0.8])).item() == pytest.approx(2 * log(1.25))


def row(name, stream, label):
    return Row(name, stream, name, "", (1, 2, label), (False, False, True), 2, True)


def test_altpo_on_forget10_meets_each_of_its_2000_pairs_in_both_epochs():
    """The authors' 114 steps of 35, and what they drop of an epoch: 116 steps, 4,000 pairs."""
    called, preset = preset_of(UnlearnRequest(method=Call("altpo"), preset="tofu"), None)
    training = training_settings(UnlearnRequest(method=called), preset).training
    method = stages(registry.resolve("methods", called.name, called.args))
    rows = {
        "forget": [row(f"f{i}", "forget", 3) for i in range(400)],
        "alternate": [row(f"f{i}", "alternate", 4 + k) for i in range(400) for k in range(5)],
        "retain": [row(f"r{i}", "retain", 3) for i in range(3600)],
    }
    steps = plan(method[-1], rows, training)
    units = [unit for step in steps for unit in step]
    assert len(steps) == 116 and len(units) == 4000 and max(len(step) for step in steps) == 35
    assert all(unit["forget"].id == unit["alternate"].id for unit in units)
    met = [(unit["alternate"].id, unit["alternate"].ids[-1]) for unit in units]
    assert all(met.count(pair) == 2 for pair in met[:50]) and len(set(met)) == 2000
    first = [unit["retain"].id for unit in units[:2000] if unit["forget"].id == "f7"]
    assert len(set(first)) > 1  # the five alternates of a row do not all meet one retain row
    assert training.warmup == 0.5 and training.lr == 5e-5


def test_a_dry_run_counts_the_alternates_that_are_to_be_written():
    forget = tuple(Example(f"f{i}", "forget", "g", "Yes.", f"{i}?") for i in range(3))
    case = Case({"forget": forget, "retain": forget}, {})
    inputs = TrainingInputs(idk_dpo(winner="swapped"), case, name="altpo", pretend=True)
    assert len(inputs.examples["alternate"]) == 15


@pytest.mark.parametrize("name", ["altpo", "altpo_sub", "altpo_subdiff", "altpo_subnpo"])
def test_the_published_names_ask_the_start_model_and_nothing_stands_in_for_it(name):
    method = registry.resolve("methods", name)
    case = Case({"forget": (Example("f", "forget", "g", "In 1901.", "When?"),), "retain": ()}, {})
    assert stages(method)[0].fn.keywords["source"] == "model"
    with pytest.raises(Refused, match=f"{name} needs the start model"):
        TrainingInputs(method, case, name=name).check()


def test_as_many_wrong_answers_as_asked_and_names_of_retain_rows_only_where_they_are_read():
    write, _ = idk_dpo(winner="swapped", alternates_per_row=2)
    rows = {"forget": (Example("f", "forget", "g", "It was in 1901.", "When?"),), "retain": ()}
    assert len(write.fn(rows, Tools())) == 2 and write.reads == ("forget", "retain")
    assert idk_dpo(winner="swapped", retain_weight=0.0)[0].reads == ("forget",)
