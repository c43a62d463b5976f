"""Membership scores beyond S1's plain ones: orientation, oracles, invariance, and the reference
faults that are not repeated.
"""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from expunge.core.card import Call
from expunge.core.results import Records
from expunge.evaluation.metric import judged
from expunge.evaluation.needs import want_of
from expunge.evaluation.observations.extraction import Extraction
from expunge.evaluation.observations.few_shot_prefix import FewShotPrefix
from expunge.evaluation.observations.gradient_norm import GradientNorm
from expunge.evaluation.observations.sampling import Sampling
from expunge.evaluation.observations.teacher_forced import TeacherForced
from expunge.metrics import mia_surp as surp_module
from expunge.metrics.blind_baseline import blind_baseline
from expunge.metrics.mia_grad_norm import mia_grad_norm
from expunge.metrics.mia_lira import mia_lira
from expunge.metrics.mia_lowercase import mia_lowercase
from expunge.metrics.mia_recall import mia_recall
from expunge.metrics.mia_surp import mia_surp
from expunge.metrics.privleak import privleak
from expunge.pipeline.settings import judge
from expunge.scoring.bootstrap import auc


def library_auc(records, score):
    rows = [r for r in records.of("forget") + records.of("holdout")]
    return roc_auc_score([r.role == "forget" for r in rows], [score(r) for r in rows])


def ratio(records, variant):
    other = {(r.role, r.id): r for role in ("forget", "holdout") for r in records.of(role, variant)}
    return lambda r: float(np.mean(other[r.role, r.id].logp) / np.mean(r.logp))


def surprising(r, k=0.2, most=2.0):
    logp, entropy = list(r.logp[:-1]), list(r.entropy[:-1])
    lowest = sorted(range(len(logp)), key=lambda i: logp[i])[: max(1, int(k * len(logp)))]
    found = [float(logp[i]) for i in lowest if entropy[i] < most]
    return sum(found) / len(found) if found else 0.0


def test_against_loops_and_scikit_learn(unlearned):
    for metric, score in (
        (mia_lowercase, ratio(unlearned, "lower")),
        (mia_recall, ratio(unlearned, "prefix")),
        (mia_surp, surprising),
        (lambda r: mia_surp(r, k=0.6, most_entropy=1.0), lambda r: surprising(r, 0.6, 1.0)),
        (mia_grad_norm, lambda r: -r.observed["grad_norm"][1]),
        (lambda r: mia_grad_norm(r, norm="inf"), lambda r: -r.observed["grad_norm"][2]),
    ):
        assert metric(unlearned).value == pytest.approx(library_auc(unlearned, score), abs=1e-12)


def made(row, forget, holdout, n=6):
    """Rows of the two sides from a function i -> (row's fields, fields of its other variants)."""
    rows = []
    for role, fn in (("forget", forget), ("holdout", holdout)):
        for i in range(n):
            own, others = fn(i)
            rows.append(row(role, i, **own))
            rows += [row(role, i, variant, **fields) for variant, fields in others.items()]
    return Records(rows)


def test_both_ends(row):
    """A member loses most in lower case and behind others, with least surprise and gradient."""
    member = lambda i: (
        dict(logp=[-0.1 - i / 100] * 3, entropy=[0.1] * 3, grad_norm=[0.1] * 4),
        {v: dict(logp=[-3.0] * 3) for v in ("lower", "prefix")},
    )
    stranger = lambda i: (
        dict(logp=[-3.0 - i / 100] * 3, entropy=[0.1] * 3, grad_norm=[9.0] * 4),
        {v: dict(logp=[-3.5] * 3) for v in ("lower", "prefix")},
    )
    for metric in (mia_lowercase, mia_recall, mia_surp, mia_grad_norm):
        assert metric(made(row, member, stranger)).value == 1
        assert metric(made(row, stranger, member)).value == 0
        assert metric(made(row, member, member)).value == 0.5


def test_no_surprise_is_the_most_a_member_can_have(row):
    rows = Records(
        [
            row(logp=[-9.0] * 5, entropy=[5.0] * 5),
            row("holdout", logp=[-0.5] * 5, entropy=[0.1] * 5),
        ]
    )
    assert mia_surp(rows).value == 1  # unsure everywhere: nothing surprising
    assert surp_module.card.evidence == "reconstructed"


def test_recall_leaves_the_groups_of_its_shots_out(unlearned):
    shots = Records(
        r
        for r in unlearned
        if not (r.role == "holdout" and r.variant == "prefix" and r.group in ("0", "1"))
    )
    assert mia_recall(shots).n == mia_recall(unlearned).n - 8
    none = Records(r for r in unlearned if r.variant != "prefix")
    assert "behind a prefix" in mia_recall(none).reason


def test_lowercase_needs_the_same_rows(unlearned):
    short = Records(r for r in unlearned if not (r.variant == "lower" and r.id == "3"))
    assert "1 of 24 rows" in mia_lowercase(short).reason


def test_scores_that_a_log_gives_are_taken(row):
    rows = Records(
        row(role, i, given={"mia_gradnorm": x})
        for role, x in (("forget", -1.0), ("holdout", -2.0))
        for i in range(3)
    )
    assert mia_grad_norm(rows).value == 1


def test_auc_does_not_change_under_a_monotone_transform(unlearned):
    x = np.array([surprising(r) for r in unlearned.of("forget")])
    y = np.array([surprising(r) for r in unlearned.of("holdout")])
    assert auc(np.exp(x), np.exp(y)) == pytest.approx(auc(x, y), abs=1e-12)


# ------------------------------------------------------------------ LiRA


def shadows(row, names, mean, sd, rng, n=6):
    """Rows whose confidence (mean log-probability) is drawn around ``mean[role, i]``."""
    return [
        replace(row(role, i, logp=[float(rng.normal(mean[role][i], sd))]), subject=name)
        for name in names
        for role in ("forget", "holdout")
        for i in range(n)
    ]


def test_lira_against_a_loop(row):
    rng = np.random.default_rng(0)
    mean = {role: rng.uniform(-6, -2, 6) for role in ("forget", "holdout")}
    outside = shadows(row, ["gold", "gold/1", "gold/2"], mean, 0.3, rng)
    inside = shadows(row, ["shadow/0", "shadow/1"], {k: v + 1 for k, v in mean.items()}, 0.3, rng)
    mine = Records(shadows(row, ["unlearned"], mean, 1.0, rng))
    of = lambda rows, r: [float(s.logp[0]) for s in rows if (s.role, s.id) == (r.role, r.id)]
    z = lambda r: (r.logp[0] - np.mean(of(outside, r))) / max(np.std(of(outside, r), ddof=1), 1e-3)
    assert mia_lira(mine, Records(outside), logit=False).value == pytest.approx(
        library_auc(mine, z)
    )

    def ratio(r):
        a, b = of(inside, r), of(outside, r)
        return norm.logpdf(r.logp[0], np.mean(a), max(np.std(a, ddof=1), 1e-3)) - norm.logpdf(
            r.logp[0], np.mean(b), max(np.std(b, ddof=1), 1e-3)
        )

    assert mia_lira(mine, Records([*outside, *inside]), logit=False).value == pytest.approx(
        library_auc(mine, ratio)
    )


def test_lira_corrects_for_rows_that_are_hard_for_everybody(row):
    """Forget rows that were never easy: a plain loss says 'not members' of rows that lie far above
    what strangers make of them.
    """
    rng = np.random.default_rng(1)
    mean = {"forget": np.full(6, -8.0), "holdout": np.full(6, -2.0)}
    golds = Records(shadows(row, ["gold", "gold/1", "gold/2", "gold/3"], mean, 0.1, rng))
    mine = Records(
        shadows(
            row, ["unlearned"], {"forget": np.full(6, -6.0), "holdout": np.full(6, -2.0)}, 0.1, rng
        )
    )
    assert library_auc(mine, lambda r: float(r.logp[0])) == 0
    assert mia_lira(mine, golds, logit=False).value == 1


def test_lira_says_what_it_lacks(row, unlearned, gold):
    assert "--gold A,B" in mia_lira(unlearned).reason
    one = Records(replace(r, subject="gold") for r in gold)
    assert "at least two golds" in mia_lira(unlearned, one).reason
    short = Records([*one, *(replace(r, subject="gold/1") for r in gold if r.id != "3")])
    assert "no record of 2 of 48 rows" in mia_lira(unlearned, short).reason


def test_only_metrics_that_ask_for_them_see_several_golds(unlearned, gold):
    several = Records(replace(r, subject=s) for s in ("gold", "gold/1") for r in gold)
    judges = [judge(Call("privleak"), None), judge(Call("mia_lira"), None)]
    found = judged(judges, unlearned, several)
    assert found["privleak"].value == privleak(unlearned, gold).value
    assert found["mia_lira"].value is not None


def test_the_original_is_never_taken_for_gold(unlearned, gold):
    original = Records(replace(r, subject="original") for r in gold)
    found = judged([judge(Call("privleak"), None), judge(Call("aus"), None)], unlearned, original)
    assert "--gold" in found["privleak"].reason and found["aus"].value is not None


# ------------------------------------------------------------------ sMIA, blind


def test_blind_baseline_sees_words_and_nothing_else(row):
    rng = np.random.default_rng(0)
    common = [f"w{i}" for i in range(30)]
    text = lambda words: " ".join(rng.choice(words, 12))
    shifted = Records(
        row(role, i, answer=text(common[:20] if role == "forget" else common[10:]))
        for role in ("forget", "holdout")
        for i in range(60)
    )
    alike = lambda: Records(
        row(role, i, answer=text(common)) for role in ("forget", "holdout") for i in range(60)
    )
    assert blind_baseline(shifted).value > 0.9
    assert np.mean([blind_baseline(alike()).value for _ in range(8)]) == pytest.approx(
        0.5, abs=0.05
    )
    assert blind_baseline(shifted).better == 0.5


def test_blind_baseline_does_not_learn_from_its_own_group(row):
    """Rows of one group share a word that no other group has: seen in training it would tell them
    apart.
    """
    rows = Records(
        row(role, i, answer=f"{role}{i // 4} same words here")
        for role in ("forget", "holdout")
        for i in range(40)
    )
    assert blind_baseline(rows).value == pytest.approx(0.5, abs=0.05)


# ------------------------------------------------------------------ which passes they ask for


def test_what_the_passes_are_asked():
    assert _asked("mia_grad_norm", eos=True) == [GradientNorm(eos=True), TeacherForced()]
    assert _asked("mia_recall", shots=3) == [FewShotPrefix(shots=3), TeacherForced()]
    assert _asked("mia_lowercase") == [TeacherForced(("answer", "lower"))]
    assert _asked("mia_surp") == [TeacherForced(moments=True)]
    drawn = [Sampling(samples=8, temperature=1.0), TeacherForced()]
    assert _asked("leak_probability", samples=8) == drawn
    assert _asked("extraction_likelihood", stride=4) == [
        Extraction(n=10, stride=4),
        TeacherForced(),
    ]


def _asked(name, **arguments):
    """The observations that a metric asks for, by name."""
    asked = judge(Call(name, arguments), None)
    found = want_of(asked.card, asked.settings).observations
    return sorted(found, key=lambda observation: observation.name)
