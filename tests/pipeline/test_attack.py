"""The attack on files of the user's own: controls, what the adversary holds, resume to the bit,
what is left on disk.
"""

import json

import numpy as np
import pytest
from commands import desk, expunge, files, model, refused  # noqa: F401
from living import living

from expunge import registry
from expunge.core.attack import Attack, Holding
from expunge.core.card import Call, Card
from expunge.core.data import Case, Example
from expunge.core.errors import Refused
from expunge.core.results import Measurement
from expunge.core.stages import Descent
from expunge.data.read import read
from expunge.evaluation.metric import Judge
from expunge.losses.terms import nll
from expunge.models.causal_lm.load import load
from expunge.models.families.source import ModelSource
from expunge.pipeline.attack_questions import (
    Questions,
    best_drawn,
    most_told,
    question_of,
    reworded,
)
from expunge.pipeline.attack_sweep import Sweeper, held_by, one_training, sweep_of, unheld
from expunge.pipeline.settings import judge as judge_of
from expunge.pipeline.settings import judges_of
from expunge.report.load import find
from expunge.report.recovery import NO_SHARE, NOT_ALONE, Recovery
from expunge.runs.folder import read_run
from expunge.runs.seal import broken
from expunge.training import stages


def words(desk, out, *more):  # noqa: F811
    where = ["--model", desk.model, "--out", out, *desk.data(), "--share", "0.5", "--quiet"]
    return ["attack", "relearn", *where, "--relearn-steps", "1,2", "--relearn-lr", "1e-2", *more]


def curves(out):
    return json.loads((out / "curves.json").read_text())["curves"]


# ------------------------------------------------------------------ what is asked for


def test_the_strengths_of_the_card_or_those_of_the_call():
    usual = sweep_of(Call("relearn"))
    assert (usual.start, usual.x, usual.axis) == (0, (5, 10, 20), "relearning steps")
    assert sweep_of(Call("relearn", {"relearn_steps": "20,3"})).x == (3, 20)
    assert sweep_of(Call("relearn", {"relearn_steps": 7})).said == ("after 7 relearning steps",)
    words = sweep_of(Call("quantize"))
    assert (words.start, words.x) == ("as is", ("8-bit", "4-bit"))


def test_any_argument_may_grow():
    found = sweep_of(Call("relearn", {"relearn_lr": [1e-4, 1e-5], "relearn_steps": 3}))
    assert (found.argument, found.x, found.axis) == ("relearn_lr", (1e-5, 1e-4), "relearn lr")
    assert found.said[0] == "after 3 relearning steps with relearn lr 1e-05"
    assert [a.stages[0].training["lr"] for a in found.attacks] == [1e-5, 1e-4]


def test_strengths_that_mean_the_same_are_one():
    """Beside a number of epochs the steps say nothing."""
    assert sweep_of(Call("relearn", {"relearn_epochs": 1.0})).said == ("after 1 relearning epochs",)


@pytest.mark.parametrize(
    ("args", "part"),
    [
        (
            {"relearn_lr": [1e-4, 1e-5], "relearn_steps": [1, 2]},
            "one argument has several values at a time",
        ),
        ({"relearn_steps": [0, 1]}, "above 0"),
        ({"relaern_lr": 1e-4}, "did you mean relearn_lr"),
    ],
)
def test_what_cannot_be_swept_is_refused(args, part):
    with pytest.raises(Refused, match=part):
        sweep_of(Call("relearn", args))


def test_an_older_name_still_finds_the_member():
    assert sweep_of(Call("quantise")).called.name == "quantize"


def example(i, role="forget"):
    return Example(f"{role}/{i}", role, f"{role}-g{i // 2}", f"a{i}", f"q{i}")


def test_groups_that_the_adversary_holds_are_not_asked():
    rows = {"forget": tuple(map(example, range(8)))}
    (attack,) = sweep_of(Call("relearn", {"share": 0.5, "relearn_steps": 1})).attacks
    held = {e.group for e in held_by(attack, rows, 0)}
    asked = {e.group for e in unheld(attack, Case(rows, rows), rows, 0)["forget"]}
    assert len(held) == 2 and asked == {e.group for e in rows["forget"]} - held


# ------------------------------------------------------------------ several wordings

FIRST = Attack("words", rewrite=lambda q: (f"{q} one", f"{q} two"))


def test_every_wording_of_every_row_that_asks():
    talk = Example(
        "t",
        "retain",
        "g",
        "a",
        messages=({"role": "user", "content": "old"}, {"role": "assistant", "content": "x"}),
    )
    text = Example("x", "retain", "g", text="a text")
    found = reworded({"forget": (example(0),), "retain": (talk, text)}, FIRST)
    assert [question_of(roles["forget"][0]) for roles in found] == ["q0 one", "q0 two"]
    assert [question_of(roles["retain"][0]) for roles in found] == ["old one", "old two"]
    assert all(roles["retain"][1] == text for roles in found)
    with pytest.raises(Refused, match="plain texts"):
        reworded({"forget": (text,)}, FIRST)


def of_rows(*values):
    each = {("forget", str(i)): (v, f"g{i}") for i, v in enumerate(values)}
    return Measurement(sum(values) / len(values), len(values), len(values), None, "gold", each=each)


def test_of_several_wordings_the_best_counts_row_by_row():
    """By hand: rows (.1, .5), (.4, .2), (.3, .3) have .5, .4 and .3 at best."""
    card = Card("", "", unit="share", grows="knowledge")
    judge = Judge("probability", lambda records, role: None, card, "forget", {})
    best = most_told(judge, [of_rows(0.1, 0.4, 0.3), of_rows(0.5, 0.2, 0.3)])
    assert (
        best.value == pytest.approx(0.4)
        and best.groups == 3
        and best.interval[0] < 0.4 < best.interval[1]
    )
    other = Judge("x", judge.fn, Card("", ""), "forget", {})
    assert most_told(other, [of_rows(0.1), of_rows(0.2)]).value is None


# ------------------------------------------------------------------ answers that are drawn


def test_of_answers_drawn_the_best_of_k_without_bias():
    """By hand: two of three draws of the first row tell .6, none of the second tells anything. The
    best of one is the mean, .4 and 0; of two .6 in every pair, and 0.
    """
    judge = judge_of(Call("rouge_l_recall"), "forget")
    tried = [of_rows(0.6, 0.0), of_rows(0.0, 0.0), of_rows(0.6, 0.0)]
    one, two = (best_drawn(judge, tried, k) for k in (1, 2))
    assert one.value == pytest.approx(0.2) and two.value == pytest.approx(0.3)
    assert two.parts["drawn"] == 3 and two.parts["at_most"] >= two.value
    blind = best_drawn(judge_of(Call("probability"), "forget"), tried, 1)
    assert blind.value is None and "reads no answer" in blind.reason


def test_every_strength_reads_the_same_draws(desk, tmp_path, monkeypatch):  # noqa: F811
    """As many are drawn as the greatest strength needs; each strength is the best of k of them."""
    rows = {"forget": read(desk.forget, role="forget")}
    judges = judges_of(None, Case({}, rows), ("rouge_l_recall",))
    questions = Questions(rows, judges)
    sweep = sweep_of(Call("sampling", {"samples": [1, 2, 8], "drawn": 8, "temperature": 5.0}))
    made = []
    real = Questions._draw

    def counted(self, *args):
        made.append(real(self, *args))
        return made[-1]

    monkeypatch.setattr(Questions, "_draw", counted)
    sweeper = Sweeper(sweep, questions, rows, tmp_path)
    points = sweeper.points("m", ModelSource.lent(load(desk.model)), lambda n: None)
    (draws,) = made
    found = [point["forget/rouge_l_recall"]["value"] for point in points[1:]]
    values = np.array([[v for v, _ in d["forget/rouge_l_recall"].each.values()] for d in draws])
    assert found[0] == pytest.approx(values.mean())
    assert found[2] == pytest.approx(values.max(0).mean()) and found == sorted(found)


# ------------------------------------------------------------------ the run


@pytest.fixture
def others(desk, expunge):  # noqa: F811
    """Three models of the desk: one of them unlearned, gold, and the original."""
    for name, on, steps in (("original", "full", 6), ("gold", "retain", 6), ("after", "forget", 1)):
        more = ["--on", on, "--steps", steps, "--lr", "1e-2", "--batch", "4", "--quiet"]
        assert (
            expunge(
                "train", "--model", desk.model, *desk.data(), "--out", desk.place / name, *more
            )[0]
            == 0
        )
    return desk.place


def test_gold_and_the_original_are_attacked_in_the_same_way(desk, others, expunge):  # noqa: F811
    out = others / "attacked"
    beside = ["--gold", others / "gold", "--original", others / "original"]
    code, said, _ = expunge(*words(desk, out, *beside, "--label", "after"))
    assert code == 0 and "relearning steps" in said and "gold" in said
    found = curves(out)
    assert [(c["of"], c["kind"]) for c in found] == [
        ("after", "unlearned"),
        ("gold", "gold"),
        ("original", "original"),
    ]
    assert all(c["x"] == [0, 1, 2] and len(c["forget/probability"]) == 3 for c in found)
    assert all(m["n"] == 3 and m["interval"] for c in found for m in c["forget/probability"])
    run = read_run(out)
    assert run["attack"]["held"] == {"stream": "forget", "groups": 3, "rows": 3} and run["attack"][
        "rights"
    ] == ["weights"]
    assert broken(out, run) == ""
    left = {name for name in files(out) if not name.startswith((".", "private/"))}
    assert left == {"run.yaml", "curves.json"}
    report = find([out])
    assert [s.kind for s in report.subjects] == ["unlearned", "gold", "original"] and len(
        report.curves
    ) == 3


def test_without_controls_the_line_says_what_cannot_be_concluded(desk, expunge):  # noqa: F811
    _, said, _ = expunge(*words(desk, desk.place / "alone"))
    said = " ".join(said.split())
    assert NOT_ALONE in said and NO_SHARE in said


def test_a_run_that_was_killed_goes_on_to_the_same_bits(desk, expunge, monkeypatch):  # noqa: F811
    """Killed at every point in turn, and each time only what was not measured yet is measured."""
    whole, cut = desk.place / "whole", desk.place / "cut"
    assert expunge(*words(desk, whole))[0] == 0
    real, asked = Questions.under, []

    class Killed(BaseException):
        pass

    def dies(self, attack, after):
        asked.append(attack.at if attack else 0)
        if len(asked) in (1, 3, 5):
            raise Killed
        return real(self, attack, after)

    monkeypatch.setattr(Questions, "under", dies)
    for _ in range(3):
        with pytest.raises(Killed):
            expunge(*words(desk, cut))
    assert (cut / "points" / "unlearned-0.json").exists()
    assert expunge(*words(desk, cut))[0] == 0
    assert asked == [0, 0, 1, 1, 2, 2]
    assert curves(cut)[0]["forget/probability"] == curves(whole)[0]["forget/probability"]
    assert not (cut / "points").exists() and not (cut / "stages").exists()


# ------------------------------------------------------------------ one training, one model


def points_of(sweep, place, *, rows, asked, model):  # noqa: F811
    """The points of a model that stays its owner's."""
    judges = judges_of(None, Case(rows, asked), ("probability",))
    sweeper = Sweeper(sweep, Questions(asked, judges), rows, place)
    return sweeper.points("m", ModelSource.lent(model), lambda n: None)


def test_strengths_are_read_on_the_way_of_one_training_to_the_same_bits(
    desk,  # noqa: F811
    tmp_path,
    monkeypatch,
):
    trained = []
    real = stages.descend

    def counted(after, stage, streams, training, *args, **kwargs):
        trained.append(training.steps)
        return real(after, stage, streams, training, *args, **kwargs)

    monkeypatch.setattr(stages, "descend", counted)
    data = {"forget": read(desk.forget, role="forget")}
    asked = {"forget": data["forget"][:2]}
    given = {"rows": data, "asked": asked, "model": load(desk.model)}
    args = {"relearn_lr": 1e-2, "share": 0.5, "relearn_batch": 2}
    together = sweep_of(Call("relearn", {**args, "relearn_steps": [1, 3, 2]}))
    found = points_of(together, tmp_path / "all", **given)
    assert trained == [3]
    for point, steps in zip(found[1:], (1, 2, 3), strict=True):
        alone = sweep_of(Call("relearn", {**args, "relearn_steps": steps}))
        assert points_of(alone, tmp_path / str(steps), **given) == [found[0], point]
    assert len({str(point) for point in found}) == 4


@pytest.mark.parametrize(
    ("args", "one"),
    [
        ({"relearn_steps": [5, 10]}, True),
        ({"relearn_epochs": [1.0, 2.0]}, True),
        ({"relearn_steps": [5]}, False),
        ({"relearn_lr": [1e-4, 1e-3]}, False),
        ({"share": [0.2, 0.5]}, False),
    ],
)
def test_what_is_one_training(args, one):
    assert one_training(sweep_of(Call("relearn", args)).attacks) is one
    assert not one_training(sweep_of(Call("quantize")).attacks)


def test_a_schedule_that_falls_makes_every_strength_a_training_of_its_own():
    def falling(steps, **settings):
        settings = {"steps": steps, "schedule": "constant"} | settings
        stage = Descent("x", (nll(stream="forget"),), training=settings)
        return Attack("x", (stage,), holds=Holding())

    assert one_training([falling(1), falling(2)])
    assert not one_training([falling(1, schedule="linear"), falling(2, schedule="linear")])
    assert not one_training([falling(1, warmup=0.5), falling(2, warmup=0.5)])


@pytest.mark.parametrize("attack", registry.names("attacks"))
def test_one_model_is_in_memory(desk, others, expunge, monkeypatch, attack):  # noqa: F811
    """While anything is asked of one, whichever of the three it is."""
    met = []
    real, already = Questions.under, len(living())

    def counting(self, attack, after):
        met.append(len(living()) - already)
        return real(self, attack, after)

    monkeypatch.setattr(Questions, "under", counting)
    where = ["--model", others / "after", "--gold", others / "gold", *desk.data(), "--quiet"]
    held = ["--share", "0.5"] if registry.resolve("attacks", attack, {}).holds else []
    assert expunge("attack", attack, *where, *held, "--out", others / "out")[0] == 0
    assert set(met) == {1} and len(met) > 4


@pytest.mark.parametrize(
    ("more", "part"),
    [
        (("--share", "1"), "lower --share"),
        (("--rows", "world"), "give them with --world"),
        (("--metrics", "privleak"), "reads other models beside"),
        (("--relearn-pace", "1"), "did you mean"),
    ],
)
def test_one_line_for_a_wrong_request(desk, refused, more, part):  # noqa: F811
    assert part in refused(*words(desk, desk.place / "no", *more))


def test_gold_must_be_another_model(desk, refused):  # noqa: F811
    assert "very weights" in refused(*words(desk, desk.place / "no", "--gold", desk.model))


# ------------------------------------------------------------------ in Python, and by hand


def test_in_python_with_models_in_memory(desk):  # noqa: F811
    import expunge as package

    subject = load(desk.model)
    found = package.attack(
        subject, "quantize", forget=desk.forget, retain=desk.retain, metrics=["probability"]
    )
    assert isinstance(found, Recovery) and found.model.x == ("as is", "8-bit", "4-bit")
    assert found.measurement("forget/probability", "4-bit").n == 6
    assert NOT_ALONE in found.conclusions()


def test_the_recovered_share_by_hand():
    """The original knew .9, the model .1 and after the attack .5: half of what was missing.

    Gold went from .2 to .27: a tenth.
    """
    from expunge.report.parse import curve_of

    def curve(of, kind, *values):
        points = [
            {"value": v, "n": 9, "groups": 9, "interval": [v - 0.01, v + 0.01], "better": "gold"}
            for v in values
        ]
        return curve_of(
            {
                "attack": "a",
                "of": of,
                "kind": kind,
                "x": [0, 5],
                "xlabel": "x",
                "forget/probability": points,
            },
            "here",
        )

    both = (curve("gold", "gold", 0.2, 0.27), curve("original", "original", 0.9, 0.9))
    found = Recovery((curve("after", "unlearned", 0.1, 0.5), *both))
    assert found.recovered("forget/probability") == pytest.approx([0, 0.5])
    assert found.recovered("forget/probability", "gold") == pytest.approx([0, 0.1])
    assert "came back further than gold did" in found.conclusions()[0]
    whole = Recovery((curve("same", "unlearned", 0.89, 0.9), *both))
    assert whole.recovered("forget/probability") == [None, None]
