"""How a method is chosen: rungs, the score, the candidates."""

from dataclasses import replace

import pytest

from expunge.core.data import Case, Example
from expunge.core.errors import Refused
from expunge.experiments.tuning import candidates as listing
from expunge.experiments.tuning.candidates import (
    Candidate,
    drawn,
    expected,
    in_order,
    scale_for,
    tunable,
)
from expunge.experiments.tuning.halving import (
    FEWEST,
    Result,
    Rung,
    best_of,
    fitting,
    halve,
    ranked,
    rungs,
)
from expunge.experiments.tuning.rows import parted
from expunge.experiments.tuning.scoring import Floor, Seen, score
from expunge.experiments.tuning.search import Budget
from expunge.experiments.tuning.words import as_json, why


def test_a_third_is_for_the_search_and_the_last_run_gets_the_rest():
    assert rungs(3600, 100) == (Rung(66, 9), Rung(200, 3), Rung(2406, 1))
    assert rungs(1800, 100) == (Rung(200, 3), Rung(1200, 1))
    for total in (1, 7, 90, 480, 1000, 12345):
        made = rungs(total, 1000)
        assert made[-1].width == 1 and sum(r.cost for r in made) == total
        assert len(made) == 1 or (made[0].steps >= FEWEST and made[-1].steps >= 2 * total // 3)


def test_few_candidates_get_more_steps_and_no_rung_that_drops_none():
    assert rungs(480, 1) == (Rung(480, 1),)
    assert rungs(480, 2) == rungs(480, 100) == (Rung(80, 2), Rung(320, 1))
    assert rungs(360, 100) == (Rung(60, 2), Rung(240, 1)) and rungs(359, 100) == (Rung(359, 1),)
    assert rungs(5000, 3) == (Rung(555, 3), Rung(3335, 1))
    assert rungs(0, 3) == rungs(3, 0) == ()


def test_fitting_asks_for_what_all_stages_together_may_spend():
    assert fitting(lambda steps: 2 * steps, 100) == 50
    assert fitting(lambda steps: steps + 36, 100) == 64
    assert fitting(lambda steps: 36, 100) == 100
    assert fitting(lambda steps: 36, 20) == 1  # fixed: it spends 36 whatever is asked


class Runs:
    """Candidates with a quality that is known; remembers what was run."""

    def __init__(self, quality, total, cost=lambda k, steps: steps, broken=()):
        self.quality, self.total, self.cost, self.broken, self.seen = (
            quality,
            total,
            cost,
            broken,
            [],
        )

    def run(self, k, rung, steps):
        self.seen.append((k.key, rung, steps))
        value = (
            None
            if {(k.key, rung), (k.key, rung, steps)} & set(self.broken)
            else self.quality[k.method] - 1 / steps
        )
        return Result(
            k.key,
            rung,
            steps,
            self.cost(k, steps),
            value,
            {},
            reason="" if value is not None else "NaN",
        )

    def halved(self, plan=None, **kwargs):
        some = [Candidate(name) for name in self.quality]
        left = lambda found: self.total - sum(r.steps for r in found)
        return halve(
            some,
            plan or rungs(self.total, len(some)),
            cost=self.cost,
            run=self.run,
            left=left,
            **kwargs,
        )


def key(name):
    return Candidate(name).key


def test_the_best_third_goes_on_and_the_last_run_is_the_result():
    runs = Runs({f"m{i}": i / 10 for i in range(9)}, 3600)
    outcome = runs.halved()
    assert [(r, s) for _, r, s in runs.seen] == [(0, 66)] * 9 + [(1, 200)] * 3 + [(2, 2406)]
    assert [k for k, r, _ in runs.seen if r == 1] == [key("m8"), key("m7"), key("m6")]
    assert outcome.best is outcome.results[-1] and outcome.best.key == key("m8")
    assert outcome.steps == 3600 and not outcome.unreached


def test_candidates_beyond_the_first_rung_are_named():
    outcome = Runs({f"m{i}": i / 10 for i in range(5)}, 600).halved()
    assert outcome.unreached == (key("m3"), key("m4")) and outcome.best.key == key("m2")


@pytest.mark.parametrize("total", [40, 100, 333, 480, 2000])
def test_no_budget_is_overspent(total):
    costs = {"m0": lambda s: s, "m1": lambda s: 2 * s, "m2": lambda s: 36, "m3": lambda s: s + 10}
    outcome = Runs(
        dict.fromkeys(costs, 0.5), total, cost=lambda k, steps: costs[k.method](steps)
    ).halved()
    assert 0 < outcome.steps <= total
    assert outcome.steps == sum(r.steps for r in outcome.results)


def test_one_that_costs_more_than_its_rung_is_passed_over():
    runs = Runs(
        {"dear": 1.0, "cheap": 0.5}, 60, cost=lambda k, steps: 500 if k.method == "dear" else steps
    )
    outcome = runs.halved()
    assert outcome.best.key == key("cheap") and outcome.unreached == (key("dear"),)


def test_what_breaks_is_out_and_the_rung_before_serves():
    runs = Runs({"a": 0.9, "b": 0.5, "c": 0.4}, 600, broken={(key("a"), 0)})
    assert runs.halved().best.key == key("b")
    late = Runs({"a": 0.9, "b": 0.5, "c": 0.4}, 600, broken={(key("a"), 1)}).halved()
    assert late.best.key == key("a") and late.best.rung == 0
    none = Runs({"a": 0.9}, 480, broken={(key("a"), 0)}).halved()
    assert none.best is None and [r.asked for r in none.results] == [480]


def test_ties_stay_in_the_order_of_trying():
    some = [Result(k, 0, 1, 1, s, {}) for k, s in (("x", 0.5), ("y", None), ("z", 0.5), ("w", 0.7))]
    assert (
        [r.key for r in ranked(some)] == ["w", "x", "z"]
        and best_of(some).key == "w"
        and best_of([]) is None
    )


def test_minutes_become_steps_at_the_speed_of_the_runs():
    ran = [Result("a", -1, 30, 30, 0.5, {}, seconds=15.0)]
    assert Budget(minutes=1).left(ran) == int(45 * 0.95 / 0.5)
    assert Budget(minutes=0.2).left(ran) == 0
    assert Budget(steps=100).left(ran) == 70


BEFORE = Seen(0.9, {"aside": 0.8, "trained": 1.0})


def test_score_by_hand():
    found = score(BEFORE, Seen(0.5, {"aside": 0.4, "trained": 1.0}), 0.2)
    assert found.forgetting == pytest.approx(1 - 0.3 / 0.7)
    assert found.utility == pytest.approx((0.5 + 1.0) / 2)
    assert found.value == pytest.approx(2 * (4 / 7) * 0.75 / (4 / 7 + 0.75))


def test_both_ends_and_what_lies_below_the_floor():
    at = lambda forget, **kept: score(
        BEFORE, Seen(forget, {"aside": 0.8, "trained": 1.0} | kept), 0.2
    )
    assert at(0.9).value == 0 and at(0.2).value == 1
    assert at(0.0).forgetting == pytest.approx(1 - 0.2 / 0.7) == at(0.4).forgetting
    assert at(0.2, aside=0.0, trained=0.0).value == 0
    assert at(0.2, aside=2.0).utility == 1
    only = score(BEFORE, Seen(0.2, {"trained": 0.5}), 0.2)  # the last rung: nothing is set aside
    assert only.utility == 0.5 and dict(only.kept) == {"trained": 0.5}
    assert score(Seen(0.1, {}), Seen(0.05, {}), 0.1).forgetting == 1  # it never knew them


def test_the_floor_is_the_geometric_mean_of_its_bounds():
    assert Floor(0.04, 0.25).value == pytest.approx(0.1) and Floor(
        0.04, 0.25, 0.36
    ).value == pytest.approx(0.12)
    assert Floor(holdout=0.36).value == 0.36 and Floor().value == 0 == Floor(0.0, holdout=0.3).value
    assert (
        "--holdout" in Floor(0.04, 0.25).words
        and "similar" in Floor(0.04, 0.25).words
        and "--holdout" in Floor().words
    )
    assert (
        "0.120" in Floor(0.04, holdout=0.36).words
        and "--holdout" not in Floor(0.04, holdout=0.36).words
    )


def case(n=10, per=2, holdout=0):
    made = lambda role, count: tuple(
        Example(f"{role}{i}", role, f"{role}-g{i // per}", f"a{i}", f"q {role} {i}")
        for i in range(count)
    )
    return Case(
        {"forget": made("forget", 6), "retain": made("retain", n)},
        {"holdout": made("holdout", holdout)},
    )


def test_groups_are_set_aside_whole_and_from_the_seed():
    rows = parted(case(20), 3)
    assert len({e.group for e in rows.aside}) == 2 and len(rows.aside) == 4
    assert not {e.group for e in rows.aside} & {e.group for e in rows.trained}
    assert parted(case(20), 3).aside == rows.aside and any(
        parted(case(20), s).aside != rows.aside for s in range(4, 9)
    )
    assert "holdout" not in rows.measured and "nearest" in rows.measured
    assert (
        "holdout" in parted(case(20, holdout=2), 3).measured
        and "nearest" not in parted(case(20, holdout=2), 3).measured
    )
    with pytest.raises(Refused, match="retain rows"):
        parted(Case({"forget": case().train["forget"]}, {}), 0)


def test_answers_elsewhere_never_meet_a_question_of_their_own_group():
    forget = case().train["forget"]
    asked = {e.prompt: e.group for e in forget}
    for name in ("mismatched", "nearest"):
        found = parted(case(), 0).measured[name]
        assert [e.answer for e in found] == [e.answer for e in forget]
        assert all(asked[e.prompt] != e.group for e in found)
    assert not {"mismatched", "nearest"} & set(
        parted(Case({**case().train, "forget": forget[:1]}, {}), 0).measured
    )
    texts = tuple(replace(e, prompt=None, text="t") for e in forget)
    assert not {"mismatched", "nearest"} & set(
        parted(Case({**case().train, "forget": texts}, {}), 0).measured
    )


def test_the_nearest_question_shares_the_most_words():
    asked = (
        "Where does Ann live?",
        "Where does Bob live?",
        "What does Bob eat?",
        "WHAT does Ann eat",
    )
    rows = tuple(Example(f"f{i}", "forget", q.split()[2], f"a{i}", q) for i, q in enumerate(asked))
    found = parted(Case({**case().train, "forget": rows}, {}), 0).measured["nearest"]
    assert [e.prompt for e in found] == [asked[1], asked[0], asked[3], asked[2]]


CARD = {
    "tune": {"lr": (1e-3, 2e-3), "beta": (0.1, 0.2)},
    "settings": {"builtin": {"lr": 2e-3, "beta": 0.2, "steps": 60, "batch": 16}},
}


def test_the_cards_own_best_comes_first_and_once():
    made = drawn("npo", CARD, seed=0)
    assert (
        made[0].source == "preset"
        and dict(made[0].arguments) == {"beta": 0.2}
        and dict(made[0].training) == {"lr": 2e-3, "batch": 16}
    )
    assert len(made) == 4 == len({c.key for c in made})
    assert made == drawn("npo", CARD, seed=0)
    assert any(drawn("npo", CARD, seed=s) != made for s in range(1, 9))
    assert drawn("npo", CARD, 0, lr_scale=0.01)[0].training["lr"] == pytest.approx(2e-5)
    assert made[0].words == "npo --beta 0.2 --lr 0.002 --batch 16"
    assert scale_for(1_000_000) == 1 and scale_for(1_000_000_000) == 0.01


def test_methods_take_turns_what_did_more_in_as_many_steps_first(monkeypatch):
    monkeypatch.setattr(listing, "PRIOR", {"rmu": (0.1, 0.9), "npo": (0.5, 0.6)})
    some = [Candidate(n, {"i": i}) for n in ("grad_diff", "npo", "rmu") for i in range(2)]
    order = lambda steps: [(c.method, c.arguments["i"]) for c in in_order(some, steps)]
    for steps in (180, 1000):
        assert order(steps) == [(n, i) for i in range(2) for n in ("rmu", "npo", "grad_diff")]
    for steps in (1, 60):
        assert order(steps) == [(n, i) for i in range(2) for n in ("npo", "rmu", "grad_diff")]
    # 104: halfway in logarithms
    assert expected("rmu", 104) == pytest.approx(0.5, abs=2e-3) and expected("grad_diff", 104) == 0


def test_every_value_on_a_card_is_one_that_its_method_takes():
    from expunge import registry

    for name in tunable():
        for c in drawn(name, registry.member("methods", name).card, 0):
            registry.resolve("methods", c.method, c.arguments)
            assert 0 < c.training["lr"] <= 10  # plain SGD takes 1 and more


def test_methods_that_cannot_be_chosen_are_refused(monkeypatch):
    with pytest.raises(Refused, match="did you mean npo"):
        tunable(["npoo"])
    real = listing.registry.member
    bare = lambda room, n: replace(real(room, n), card={}) if n == "npo" else real(room, n)
    monkeypatch.setattr(listing.registry, "member", bare)
    with pytest.raises(Refused, match="npo names no values to try"):
        tunable(["npo"])


def test_why_names_the_next_best_and_what_was_not_reached():
    some = [Candidate("npo"), Candidate("rmu"), Candidate("idk")]
    parts = lambda f, u: {"forgetting": f, "utility": u}
    results = (
        Result(some[0].key, 0, 80, 80, 0.9, parts(0.9, 0.9)),
        Result(some[1].key, 0, 80, 80, 0.7, parts(0.95, 0.55)),
    )
    results += (Result(some[0].key, 1, 240, 240, 0.92, parts(0.92, 0.92)),)
    outcome = halve(
        [], (), cost=lambda k, s: s, run=lambda k, r, s: results[0], left=lambda found: 0
    )
    outcome = replace(outcome, results=results, best=results[-1], unreached=(some[2].key,))
    told = why(outcome, some, {"kga": "kga needs world rows"})
    assert (
        "npo: after 240 steps" in told
        and "place 1 of 2" in told
        and "rmu with 0.70, weaker in utility (0.55 against 0.90)" in told
    )
    assert (
        "did not reach 1 methods (idk)" in told
        and "kga" in told
        and "Nothing was compared" not in told
    )
    alone = why(
        replace(
            outcome, results=(replace(results[-1], rung=0),), best=replace(results[-1], rung=0)
        ),
        some,
        {},
    )
    assert "Nothing was compared: two runs of 60 steps in 1/3 of the budget take 360 steps" in alone
    assert [r["rung"] for r in as_json(outcome, some)] == [1, 1, 2]
