"""Every membership score says what it tells at few false positives, or that the holdout rows are
too few to say it.
"""

from dataclasses import replace

import pytest
from sklearn.metrics import roc_curve

from expunge import registry
from expunge.core.results import Records
from expunge.metrics.mia_loss import mia_loss

SCORES = [n for n in registry.names("metrics") if n.startswith("mia_")]


@pytest.mark.parametrize("name", SCORES)
def test_beside_the_auc(name, unlearned, gold):
    module = registry.load("metrics", name)
    several = Records(
        replace(r, subject=s, logp=r.logp - shift)
        for s, shift in (("gold", 0), ("gold/1", 0.1))
        for r in gold
    )
    m = getattr(module, name)(unlearned, several if name == "mia_lira" else gold)
    assert "membership" in module.card.family
    assert m.value is not None
    assert m.parts["least_fpr"] == 1 / 24  # so 1 % cannot be seen
    assert "tpr/0.01" not in m.parts
    assert 0 <= m.parts["tpr/0.05/low"] <= m.parts["tpr/0.05"] <= m.parts["tpr/0.05/high"] <= 1


def test_equal_to_scikit_learn_at_the_last_step_that_is_allowed(unlearned):
    rows = unlearned.of("forget") + unlearned.of("holdout")
    fpr, tpr, _ = roc_curve(
        [r.role == "forget" for r in rows], [-r.loss for r in rows], drop_intermediate=False
    )
    assert mia_loss(unlearned).parts["tpr/0.05"] == max(
        t for f, t in zip(fpr, tpr, strict=True) if f <= 0.05
    )


def test_both_ends(row):
    side = lambda role, p: [row(role, i, logp=[p] * 2) for i in range(100)]
    known, unknown = (
        mia_loss(Records([*side("forget", p), *side("holdout", -3.0)])).parts for p in (-0.1, -9.0)
    )
    assert (known["tpr/0.01"], unknown["tpr/0.01"]) == (1, 0) and "least_fpr" not in known
