"""SemEval-2025 Task 4: the twelve scores and the three in one, against published sums and a plain
loop.
"""

import numpy as np
import pytest
from scipy.stats import hmean
from sklearn.metrics import roc_auc_score

from expunge.core.results import Records
from expunge.metrics.semeval_score import semeval_score
from expunge.metrics.semeval_tasks import semeval_tasks
from expunge.scoring.semeval import ROLES

WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"]


def some(row, seed=0, n=8, forgotten=None):
    rng, made = np.random.default_rng(seed), []
    for role in ROLES:
        for i in range(n):
            answer = " ".join(rng.choice(WORDS, 6))
            right = rng.random() < (0.3 if role.startswith("forget") else 0.8)
            made.append(
                row(
                    role,
                    i,
                    answer=answer,
                    generated=f" {answer.upper()} " if right else " ".join(rng.choice(WORDS, 4)),
                )
            )
    return made


def others(row, seed=0, n=16):
    rng = np.random.default_rng(seed)
    means = (("member", 1.0), ("nonmember", 2.0), ("forget", 0.5), ("holdout", 3.0))
    made = [
        row(role, i, mean_loss=float(rng.normal(mu, 1))) for role, mu in means for i in range(n)
    ]
    for i in range(n):
        right = int(rng.integers(4))
        made += [
            row("mmlu", i, f"letters/{t}", options=rng.normal(size=4), right=(right - t) % 4)
            for t in range(4)
        ]
    return made


def test_the_published_sums_are_means_of_three():
    assert np.mean([0.827, 0.847, 0.443]) == pytest.approx(0.706, abs=5e-4)
    assert np.mean([0.944, 0.048, 0.471]) == pytest.approx(0.487, abs=1e-3)


def test_against_a_loop(row):
    made = some(row) + others(row)
    records = Records(made)
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"], use_stemmer=True)
    twelve = []
    for role in ROLES:
        rows = [r for r in made if r.role == role]
        if role.endswith("question"):
            x = np.mean([r.answer.strip().lower() == r.generated.strip().lower() for r in rows])
        else:
            x = np.mean([scorer.score(r.answer, r.generated)["rougeL"].recall for r in rows])
        twelve.append(1 - x if role.startswith("forget") else x)
    tasks = semeval_tasks(records)
    assert tasks.value == pytest.approx(hmean(twelve)) and [*tasks.parts.values()] == pytest.approx(
        twelve
    )
    mmlu = np.mean([np.argmax(r.options) == r.right for r in made if r.variant == "letters/0"])
    values = {}
    for sides in (("member", "nonmember"), ("forget", "holdout")):
        loss = {role: [r.loss for r in made if r.role == role] for role in sides}
        auc = roc_auc_score([1] * 16 + [0] * 16, [-x for x in loss[sides[0]] + loss[sides[1]]])
        m = semeval_score(records, roles=(*ROLES, *sides, "mmlu"))
        assert m.value == pytest.approx(np.mean([hmean(twelve), 1 - 2 * abs(auc - 0.5), mmlu]))
        assert m.interval[0] < m.value < m.interval[1]
        assert ("not the task's own score" in m.note) == (sides[0] == "forget")
        values[sides] = m.value
    assert (
        semeval_score(records).value == values["member", "nonmember"] != values["forget", "holdout"]
    )


def test_any_zero_makes_the_aggregate_zero(row):
    made = some(row)
    spoilt = [
        r if r.role != ROLES[1] else row(r.role, int(r.id), answer="x", generated="x") for r in made
    ]
    assert semeval_tasks(Records(spoilt)).value == 0


def test_best(row):
    made = [
        row(
            role,
            i,
            answer="alpha beta",
            generated="alpha beta" if role.startswith("retain") else "none",
        )
        for role in ROLES
        for i in range(8)
    ]
    assert semeval_tasks(Records(made)).value == 1


def test_what_is_missing_is_said(row):
    made = some(row)
    m = semeval_tasks(Records(r for r in made if r.role != ROLES[3]))
    assert (
        m.reason
        == f"the task aggregate needs all 12 parts: no rows of role {ROLES[3]}; add them to the "
        f"folder of --data"
    )
    assert (
        semeval_score(Records(made)).reason
        == "no rows of role nonmember; add them to the folder of --data"
    )
    full = [*made, *others(row)]
    assert (
        semeval_score(Records(r for r in full if r.role != "mmlu")).reason
        == "no rows of role mmlu; add them to the folder of --data"
    )
