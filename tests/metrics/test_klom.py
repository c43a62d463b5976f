"""KLOM: both forms against scipy, the same models at 0, the shift that the authors' bins do not
see, what is missing.
"""

from functools import partial

import numpy as np
import pytest
import two_sides
from scipy.integrate import quad
from scipy.special import rel_entr
from scipy.stats import norm

from expunge.core.results import Records
from expunge.metrics.klom import klom

judged = partial(two_sides.judged, klom)


@pytest.fixture
def sides():
    rng = np.random.default_rng(0)
    return rng.normal(0.5, 1.0, (5, 8)), rng.normal(-0.5, 1.5, (6, 8))


def test_normal_form_against_an_integral(row, sides):
    x, y = sides

    def kl(a, b):
        p, q = norm(a.mean(), a.std(ddof=1)), norm(b.mean(), b.std(ddof=1))
        return quad(lambda t: p.pdf(t) * (p.logpdf(t) - q.logpdf(t)), -20, 20)[0]

    m = judged(row, x, y)
    assert m.value == pytest.approx(
        np.mean([kl(a, b) for a, b in zip(x.T, y.T, strict=True)]), rel=1e-5
    )
    assert (m.n, m.groups, m.better) == (8, 2, 0.0) and m.interval[0] < m.value < m.interval[1]
    assert m.parts["floor"] > 0 and m.parts["p95"] > m.value


def test_histograms_against_scipy(row, sides):
    x, y = sides

    def kl(a, b):
        edges = np.linspace(min(a.min(), b.min()), max(a.max(), b.max()), 5)
        p, q = (np.histogram(v, edges)[0] / len(v) for v in (a, b))
        return sum(rel_entr(i, max(j, 1e-5)) for i, j in zip(p, q, strict=True) if i)

    m = judged(row, x, y, form="histogram", bins=4)
    assert m.value == pytest.approx(
        np.mean([kl(a, b) for a, b in zip(x.T, y.T, strict=True)]), rel=1e-9
    )


@pytest.mark.parametrize("form", ["normal", "histogram"])
def test_the_same_models_are_at_0_and_a_mere_shift_is_not(row, sides, form):
    x, _ = sides
    assert judged(row, x, x, form=form).value == pytest.approx(0, abs=1e-6)
    # bins of each side's own, as the authors have them, would give 0
    assert judged(row, x, x + 4, form=form).value > 1


def test_what_is_missing_is_said(row, sides):
    x, y = sides
    assert "--shadow" in judged(row, x[:1], y).reason
    assert (
        "--gold" in judged(row, x, y[:1]).reason
        and "--gold" in klom(two_sides.models(row, x[:1], "unlearned")).reason
    )
    assert "--forget" in klom(Records()).reason
    mine = two_sides.models(row, x, "unlearned")
    short = Records(
        [
            *(r for r in two_sides.models(row, y, "gold") if r.id != "3"),
            *(r for r in mine if r.subject != "unlearned"),
        ]
    )
    assert "gold: no record of 1 of 8 rows" in klom(mine.only("unlearned"), short).reason
    assert "no finite value" in judged(row, x * np.nan, y).reason
