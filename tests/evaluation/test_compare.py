"""A model beside gold: what is paired, what is decided, what a user reads."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import ttest_rel

from expunge.core.card import Call
from expunge.core.results import Record, Records
from expunge.evaluation.compare import as_json, compared
from expunge.evaluation.metric import judged
from expunge.pipeline.settings import judge
from expunge.report.beside import beside_gold, caveats
from expunge.scoring.significance import widened


def rows(p, subject="unlearned", role="forget"):
    """One row a group, of probability p per token."""
    return [
        Record(subject, role, str(i), str(i), "answer", 2, logp=np.log([float(x)] * 2))
        for i, x in enumerate(p)
    ]


def beside(mine, *others, metrics=(("probability", "forget"),)):
    judges = [judge(Call(m), r) for m, r in metrics]
    records, others = Records(mine), Records(r for side in others for r in side) if others else None
    return compared(judges, judged(judges, records, others), others)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_paired_by_row_and_decided(rng):
    hard = rng.uniform(0.2, 0.7, 60)
    mine, gold = hard + rng.normal(0.02, 0.02, 60), hard
    b = beside(rows(mine), rows(gold, "gold"))["forget/probability"]
    expected = ttest_rel(mine, gold)
    assert b.difference == pytest.approx((mine - gold).mean()) and (b.n, b.groups, b.unmatched) == (
        60,
        60,
        0,
    )
    assert b.p == pytest.approx(expected.pvalue)
    assert (
        b.bound == pytest.approx(expected.confidence_interval(0.9).high)
        and b.equal
        and b.verdict == "equal"
    )
    # rows that are hard for both do not widen it
    assert b.interval[0] < b.difference < b.interval[1] < 0.03
    # what the verdict finds: a smaller difference than the margin would be let pass, not told
    assert 0.04 < b.detectable < 0.05


@pytest.mark.parametrize(
    ("shift", "spread", "forget", "retain"),
    [
        (0.2, 0.01, "above", "not below"),
        (-0.2, 0.01, "below", "below"),
        (0.0, 0.01, "equal", "equal"),
        (0.0, 0.4, "undecided", "undecided"),
    ],
)
def test_which_side_is_bad_depends_on_the_role(rng, shift, spread, forget, retain):
    gold = np.full(12, 0.5)
    mine = np.clip(gold + shift + spread * np.linspace(-1, 1, 12), 0.01, 0.99)
    for role, verdict in (("forget", forget), ("retain", retain)):
        found = beside(
            rows(mine, role=role), rows(gold, "gold", role), metrics=[("probability", role)]
        )
        assert found[f"{role}/probability"].verdict == verdict


@pytest.mark.parametrize(("role", "sign"), [("forget", 1), ("retain", -1)])
def test_the_bound_is_that_of_the_one_sided_test_towards_the_bad_side(rng, role, sign):
    """Non-inferiority and two one-sided tests by hand, at differences on either side of what the
    margin lets pass.
    """
    gold, noise = np.full(20, 0.5), rng.normal(0, 0.02, 20)
    for shift in (-0.2, -0.06, -0.045, -0.02, 0.0, 0.02, 0.045, 0.06, 0.2):
        mine = gold + shift + noise - noise.mean()
        b = beside(
            rows(mine, role=role), rows(gold, "gold", role), metrics=[("probability", role)]
        )[f"{role}/probability"]
        low, high = ttest_rel(mine, gold).confidence_interval(0.9)
        assert b.bound == pytest.approx(high if sign > 0 else -low)
        worse = ttest_rel(sign * mine, sign * gold + 0.05, alternative="less").pvalue
        other = ttest_rel(sign * mine, sign * gold - 0.05, alternative="greater").pvalue
        assert b.not_worse is bool(worse < 0.05) and b.equal is bool(max(worse, other) < 0.05)


def test_nothing_is_equal_on_constants():
    """Rows that are alike in both models, or all 0, show how few groups there are, not that the
    models are equal.
    """
    for x in ([0.2, 0.4, 0.6], [0.3] * 40):
        b = beside(rows(x), rows(x, "gold"))["forget/probability"]
        assert (b.difference, b.p, b.equal, b.verdict, b.constant) == (
            0,
            1,
            False,
            "undecided",
            True,
        )
        share = 1 - 0.05 ** (1 / len(x))
        assert b.interval == pytest.approx((-share, share))
        assert b.why == "the same in every group"


def test_gold_is_the_target_and_less_than_gold_is_a_flag_of_its_own(rng):
    """An AUC of 0.0 against gold's .49 is no success: it was shown green as not worse."""
    near = {
        "forget": np.linspace(0.3, 0.6, 20),
        "holdout": np.linspace(0.3, 0.6, 20) + rng.normal(0, 0.02, 20),
    }
    gone = {"forget": np.linspace(0.01, 0.03, 20), "holdout": near["holdout"]}
    of = lambda s, made: [r for role, p in made.items() for r in rows(p, s, role)]
    b = beside(of("unlearned", gone), of("gold", near), metrics=[("mia_loss", None)])["mia_loss"]
    assert b.model == 0 and b.gold == pytest.approx(0.5, abs=0.1)
    assert (b.verdict, b.flags, b.tone, b.said) == (
        "below",
        ["over_forgotten"],
        "warn",
        "over-forgotten",
    )
    found = as_json({"mia_loss": b}, 1)
    assert found["rows"]["mia_loss"]["flags"] == ["over_forgotten"]
    assert any("over-forgotten" in c for c in found["caveats"])


def test_asking_for_more_metrics_hides_no_leak(rng):
    """Fourteen more questions with no difference: the leak of one metric is told as before, and its
    own p decides.
    """
    gold = rng.uniform(0.3, 0.6, 12)
    mine = np.clip(gold + 0.08 + rng.normal(0, 0.09, 12), 0.01, 0.99)
    alone = beside(rows(mine), rows(gold, "gold"))["forget/probability"]
    assert alone.verdict == "above" and 0.001 < alone.p < 0.05
    others = [f"forget_{i}" for i in range(14)]
    more, same = list(rows(mine)), list(rows(gold, "gold"))
    for role in others:
        more += rows(np.clip(gold + rng.normal(0, 0.09, 12), 0.01, 0.99), role=role)
        same += rows(gold, "gold", role)
    asked = [("probability", role) for role in ("forget", *others)]
    among = beside(more, same, metrics=asked)["forget/probability"]
    assert among.verdict == "above" and among.p == alone.p
    assert among.p_holm > 0.05  # it decided before


def test_holdout_rows_are_a_control_and_in_no_family(rng):
    gold = {role: rng.uniform(0.3, 0.6, 20) for role in ("forget", "holdout")}
    of = lambda s, by: [
        r
        for role, p in gold.items()
        for r in rows(np.clip(p + by + rng.normal(0, 0.02, 20), 0.01, 0.99), s, role)
    ]
    found = beside(
        of("unlearned", 0.1),
        of("gold", 0.0),
        metrics=[("probability", "forget"), ("probability", "holdout")],
    )
    b = found["holdout/probability"]
    assert (b.side, b.p_holm, b.not_worse, b.tone) == (
        "control",
        None,
        None,
        "",
    ) and b.verdict == "above"
    assert found["forget/probability"].p_holm == found["forget/probability"].p


def test_few_groups_are_told_in_every_output(rng):
    from rich.console import Console

    made = beside(rows(rng.uniform(0.6, 0.9, 5)), rows(rng.uniform(0.1, 0.3, 5), "gold"))
    b = made["forget/probability"]
    assert b.warning == "too few groups" and b.interval is not None
    assert as_json(made, 1)["rows"]["forget/probability"]["warning"] == "too few groups"
    console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(beside_gold(made))
    assert "too few groups" in console.export_text()


def test_rows_that_only_one_has_are_counted_and_two_groups_decide_nothing():
    b = beside(rows([0.2, 0.4, 0.6]), rows([0.2, 0.4], "gold"))["forget/probability"]
    assert (b.n, b.unmatched) == (2, 1)
    for groups in ("aaaa", "aabb"):  # two that agree by chance would look like certainty
        side = lambda p, s="unlearned", groups=groups: [
            replace(r, group=g) for r, g in zip(rows(p, s), groups, strict=True)
        ]
        b = beside(side([0.4, 0.6, 0.4, 0.6]), side([0.2, 0.4, 0.2, 0.4], "gold"))[
            "forget/probability"
        ]
        assert (b.p, b.equal, b.detectable, b.verdict) == (
            None,
            None,
            None,
            "undecided",
        ) and b.difference == pytest.approx(0.2)


def test_membership_is_paired_too(rng):
    """The same two models, rows drawn together: the interval of the difference is far narrower than
    that of either AUC.
    """
    hard = {role: rng.uniform(0.05, 0.9, 40) for role in ("forget", "holdout")}
    of = lambda s, noise: [
        r for role, p in hard.items() for r in rows(np.clip(p + noise, 0.01, 0.99), s, role)
    ]
    found = beside(
        of("unlearned", rng.normal(0, 0.01, 40)), of("gold", 0.0), metrics=[("mia_loss", None)]
    )
    b = found["mia_loss"]
    assert (b.n, b.groups, b.side) == (80, 80, "unlearned") and b.interval[1] - b.interval[0] < 0.03
    assert b.equal and b.margin == 0.05


def test_holm_over_each_side(rng):
    metrics = [("probability", r) for r in ("forget", "retain")] + [
        ("sequence_probability", "forget")
    ]
    mine = rows(rng.uniform(0.3, 0.9, 20)) + rows(rng.uniform(0.3, 0.9, 20), role="retain")
    gold = rows(rng.uniform(0.3, 0.9, 20), "gold") + rows(
        rng.uniform(0.3, 0.9, 20), "gold", "retain"
    )
    found = beside(mine, gold, metrics=metrics)
    assert found["retain/probability"].p_holm == found["retain/probability"].p
    pair = [found["forget/probability"], found["forget/sequence_probability"]]
    assert min(b.p_holm for b in pair) == pytest.approx(min(1, 2 * min(b.p for b in pair)))


def test_without_gold_and_for_what_is_no_mean_there_is_nothing(rng):
    x = rng.uniform(0.3, 0.9, 8)
    assert beside(rows(x)) == {} and beside(rows(x), rows(x, "original")) == {}
    assert (
        beside(
            rows(x), rows(x, "gold"), metrics=[("perplexity", "forget"), ("forget_quality", None)]
        )
        == {}
    )


def test_several_golds_are_averaged_and_four_of_them_widen_the_margin():
    x, moved = np.full(8, 0.5), np.linspace(-0.01, 0.01, 8)
    golds = [rows(x + by, name) for by, name in ((-0.1, "gold"), (0.1, "gold/1"), (0.0, "gold/2"))]
    b = beside(rows(x + moved), *golds)["forget/probability"]
    assert (
        b.gold == pytest.approx(0.5)
        and b.margin == 0.05
        and not b.widened
        and b.verdict == "undecided"
    )
    b = beside(rows(x + moved), *golds, rows(x, "gold/3"))["forget/probability"]
    # as far as one gold more may lie would be .21: golds that far apart excuse nothing
    assert b.margin == 0.1 and b.widened


def test_what_the_golds_allow_to_say_is_said():
    x, moved = np.full(8, 0.5), np.linspace(-0.01, 0.01, 8)
    golds = [rows(x, "gold"), rows(x + 0.02, "gold/1"), rows(x, "gold/2"), rows(x + 0.1, "gold/3")]
    said = {n: " ".join(caveats(beside(rows(x + moved), *golds[:n]).values())) for n in (1, 2, 4)}
    assert "one gold: p, interval and verdict hold for these rows" in said[1]
    assert "2 golds" in said[2] and "not widened" in said[2]
    assert "1 margins are wider" in said[4]


def test_the_widened_margin_holds_one_more_gold_in_19_of_20(rng):
    golds = rng.normal(0, 0.02, (4000, 6))
    inside = np.mean([g[5] - g[:5].mean() <= widened(0.05, g[:5]) for g in golds])
    assert inside >= 0.94


def test_what_a_user_reads(rng):
    from rich.console import Console

    mine = rows(rng.uniform(0.6, 0.9, 20)) + rows([0.5] * 20, role="retain")
    gold = rows(rng.uniform(0.1, 0.3, 20), "gold") + rows([0.5] * 20, "gold", "retain")
    made = beside(mine, gold, metrics=[("probability", "forget"), ("probability", "retain")])
    found = as_json(made, 1)
    assert found["golds"] == 1 and found["rows"]["forget/probability"]["verdict"] == "above"
    console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(beside_gold(made))
    text = console.export_text()
    assert (
        "above" in text
        and "undecided" in text
        and "give --gold A,B,C" in text
        and max(map(len, text.splitlines())) <= 80
    )
