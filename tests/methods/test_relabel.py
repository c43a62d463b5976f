"""Relabelling by hand; where the labels come from is tests/prepare/test_relabel.py."""

from math import log

import pytest
from napkin import a_pass
from small import rows, small_subject

from expunge import registry
from expunge.losses.inputs import loss_of
from expunge.methods.relabel import relabel
from expunge.models.causal_lm.forward import pack
from expunge.synthesis.tools import Tools

LOGITS = [[log(0.6), log(0.2), log(0.15), log(0.05)]]


# -log .2, the true answer's own probability does not matter
def test_the_label_learned_is_the_one_put_there():
    term = relabel()[-1].terms[0]
    assert loss_of(
        term, a_pass(logits=LOGITS, labels=[1], stream="relabelled")
    ).item() == pytest.approx(-log(0.2))


@pytest.mark.parametrize("name", ["random_labels", "adversarial_labels"])
def test_both_names_train_on_other_labels_with_the_inputs_as_they_are(name):
    prepare, learn = registry.resolve("methods", name)
    assert (
        prepare.on == "rows" and learn.terms[0].streams == ("relabelled",) and len(learn.terms) == 1
    )
    forget = rows("forget", 8)
    made = prepare.fn({"forget": forget}, Tools(seed=1, subject=small_subject))
    read, old = pack(made), pack(forget)
    assert (read.input_ids == old.input_ids).all() and (
        read.labels != old.labels
    ).float().mean() > 0.9


def test_a_retain_term_is_added_beside_the_labels():
    learn = relabel(retain_weight=2.0)[-1]
    assert [(t.streams, t.coef) for t in learn.terms] == [
        (("relabelled",), 1.0),
        (("retain",), 2.0),
    ]
