# ruff: noqa: F401, F811 (fixtures are imported by name)
"""expunge bench: plans and their errors, equal utility and equal budget, cells that are made once,
failing ones, tables and drawings.
"""

import json
import shutil

import numpy as np
import pytest
import torch
from commands import expunge, once, refused
from small import rows, small_subject

from expunge import registry
from expunge.core.errors import Refused
from expunge.core.requests import BenchRequest
from expunge.experiments.sweep.cell import read_cell, write_cell
from expunge.experiments.sweep.fair import smallest_share, steps_for, tokens_of
from expunge.experiments.sweep.gather import quality_of, spread, summary
from expunge.experiments.sweep.hardness import garbled
from expunge.experiments.sweep.plan import ALL, entry_of, plan_of, read_plan
from expunge.experiments.sweep.plot import strips, tradeoff
from expunge.experiments.sweep.pool import pool, together
from expunge.experiments.sweep.run import runnable
from expunge.experiments.sweep.table import front, ordered, page, ranged
from expunge.losses.weight_deltas import mixed
from expunge.models.causal_lm.load import load
from expunge.models.causal_lm.modules import parameters_of
from expunge.training.sampler import Training
from expunge.training.stages import steps_of

STREAMS = {"forget": rows("forget", 12), "retain": rows("retain", 24)}

# ------------------------------------------------------------------ equal utility, equal budget


def test_mixing_ends_in_the_two_models_exactly():
    one, other = (parameters_of(small_subject(seed).model) for seed in (0, 1))
    assert all(torch.equal(w, one[n]) for n, w in mixed(one, other, 1.0).items())
    assert all(torch.equal(w, other[n]) for n, w in mixed(one, other, 0.0).items())
    halves = mixed(one, other, 0.5)
    assert all(torch.allclose(w, (one[n] + other[n]) / 2) for n, w in halves.items())
    assert not any(w.data_ptr() == one[n].data_ptr() for n, w in mixed(one, other, 1.0).items())


def test_mixing_with_what_is_no_number():
    broken = {"w": torch.tensor([float("nan")])}
    assert mixed({"w": torch.ones(1)}, broken, 1.0)["w"].item() == 1.0
    with pytest.raises(ValueError, match="from 0 to 1"):
        mixed(broken, broken, 1.5)
    with pytest.raises(LookupError):
        mixed({"v": torch.ones(1)}, broken, 0.5)


def test_the_smallest_share_that_keeps_enough():
    asked = []
    kept = lambda u: asked.append(u) or 0.2 + 0.8 * u
    share = smallest_share(kept, 0.6)
    assert share >= 0.5 and share == pytest.approx(0.5, abs=1 / 128) and len(asked) <= 8
    assert smallest_share(lambda u: 0.9, 0.6) == 0.0
    assert smallest_share(lambda u: float(u == 1), 0.6) == 1.0
    assert smallest_share(lambda u: float("nan") if u < 1 else 1.0, 0.6) == 1.0


def test_equal_budget_counts_the_steps_of_all_stages():
    one = registry.resolve("methods", "grad_diff", {})
    assert steps_for(one, STREAMS, Training(epochs=5, batch=4), 7).steps == 7
    two = registry.resolve("methods", "whp", {})
    found = steps_for(two, STREAMS, Training(epochs=5, batch=4), 40)
    assert (
        steps_of(two, STREAMS | {"alternate": STREAMS["forget"]}, found)
        <= 40
        < steps_of(two, STREAMS, Training(steps=60, batch=4))
    )


def test_tokens_are_those_of_the_rows_that_meet():
    one = registry.resolve("methods", "grad_ascent", {})
    assert tokens_of(one, STREAMS, Training(epochs=1, batch=4)) == sum(
        len(r) for r in STREAMS["forget"]
    )


# ------------------------------------------------------------------ plans


def test_a_plan_from_options():
    plan = plan_of(BenchRequest(methods="npo,simnpo", seeds="0,3", workers=1))
    assert (
        [e.label for e in plan.methods] == ["npo", "simnpo"]
        and plan.seeds == (0, 3)
        and plan.workers == 1
    )
    assert (
        plan.request(plan.methods[0], 3).benchmark == "builtin:3"
        and plan.request(plan.methods[0], 3).seed == 3
    )
    every = plan_of(BenchRequest(methods=ALL))
    assert (
        [e.label for e in every.methods] == registry.names("methods")
        and every.every
        and every.as_json()["methods"] == ALL
    )


def test_a_plan_from_a_file_with_options_on_top(tmp_path):
    file = tmp_path / "plan.yaml"
    file.write_text(
        "methods:\n- npo\n- {name: npo, args: {beta: 0.5}}\nseeds: [1]\ntraining: {lr: "
        "1e-3}\nbudget: 0\n"
    )
    plan = plan_of(BenchRequest(plan=str(file), seeds="2"))
    assert (
        [e.label for e in plan.methods] == ["npo", "npo-beta=0.5"]
        and plan.seeds == (2,)
        and plan.budget == 0
    )
    assert plan.request(plan.methods[1], 2).method.args == {"beta": 0.5}
    # before: the text 1e-3
    assert plan.request(plan.methods[1], 2).lr == plan.training["lr"] == 1e-3


def test_a_plan_file_says_itself_again(tmp_path):
    import yaml

    plan = plan_of(BenchRequest(methods="npo,simnpo", seeds="0,1"))
    (tmp_path / "again.yaml").write_text(yaml.safe_dump(plan.as_json()))
    assert plan_of(BenchRequest(plan=str(tmp_path / "again.yaml"))) == plan


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("methods: [npo]\nseedz: [0]\n", ":2: a plan has no key 'seedz'; did you mean seeds?"),
        ("seeds: [0]\nmethods:\n- npo\n- npoo\n", ":4: no method 'npoo'; did you mean npo?"),
        (
            "methods:\n- {name: npo, args: {betta: 1}}\n",
            ":2: npo has no argument 'betta'; did you mean beta? there are: beta, retain_term, "
            "retain_weight",
        ),
        (
            "methods:\n- {name: npo, args: {beta: -1}}\n",
            ":2: npo: --beta -1.0 is out of range; it must be above 0",
        ),
        ("methods: npo\n", ":1: methods is a text; it must be all, or a list of methods"),
        ("methods: [npo]\nseeds: [a]\n", ":2: seeds are whole numbers, such as [0, 1, 2]"),
        ("methods: [npo]\nworkers: two\n", ":2: workers is a text; it must be a whole number"),
        ("methods: [npo]\ntraining:\n  steps: many\n", ":3: steps must be a whole number"),
        (
            "methods: [npo]\ntraining:\n  stepz: 3\n",
            ":3: training has no key 'stepz'; did you mean steps?",
        ),
        ("methods: [npo\n", ":2: not YAML; a plan is a mapping such as methods: [npo, simnpo]"),
        ("- npo\n", ": not a mapping; a plan says methods: [npo, simnpo], seeds: [0, 1], ..."),
    ],
)
def test_a_wrong_plan_is_refused_by_file_and_line(tmp_path, text, told):
    file = tmp_path / "plan.yaml"
    file.write_text(text)
    with pytest.raises(Refused) as error:
        read_plan(file)
    assert str(error.value) == f"{file}{told}"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "methods:\n- {name: grad_ascent, args: {ma: 0.5}}\n",
            "--ma 0.5 does nothing: grad_ascent is the same without it",
        ),
        (
            "methods: [npo]\ntraining: {lora: 5000}\n",
            ":2: --lora 5000 is out of range; it must be from 0 to 4096",
        ),
        (
            "methods: [kga]\ntraining: {steps: 2, lr: 20.0}\n",
            ":2: --lr 20.0 is out of range; it must be from 0 to 10",
        ),
        ("methods: [npo]\nrecipe: {lora: 4}\n", "recipe.lora: the tiny original is trained whole"),
    ],
)
def test_what_would_fail_in_every_cell_or_do_nothing_is_refused_before_the_first(
    tmp_path, text, told
):
    file = tmp_path / "plan.yaml"
    file.write_text(text)
    with pytest.raises(Refused) as error:
        runnable(plan_of(BenchRequest(plan=str(file))))
    assert told in str(error.value)


@pytest.mark.slow
def test_a_plan_may_ask_for_an_adapter(tmp_path):
    """As ``expunge unlearn`` does it, and the rank decides the cell."""
    from expunge.experiments.sweep.run import bench

    training = "{steps: 2, batch: 4, lr: 0.1, lora: 2, lora_alpha: 4.0, lora_targets: q_proj}"
    plan = (
        f"methods: [grad_diff]\nrecipe: {{steps: 2}}\ntraining: {training}\nbudget: 0\nworkers: 1\n"
    )
    (tmp_path / "plan.yaml").write_text(plan)
    request = BenchRequest(
        plan=str(tmp_path / "plan.yaml"), out=str(tmp_path / "out"), quiet=True, keep_models=True
    )
    bench(request)
    found = json.loads((tmp_path / "out" / "cells" / "grad_diff-s0" / "result.json").read_text())
    told = {
        name: found["settings"][name]["value"] for name in ("lora", "lora_alpha", "lora_targets")
    }
    assert told == {"lora": 2, "lora_alpha": 4.0, "lora_targets": "q_proj"}
    assert found["ask"]["request"]["lora"] == 2
    before, after = (
        load(p).model.state_dict()
        for p in (tmp_path / "out/models/original-s0", tmp_path / "out/cells/grad_diff-s0/model")
    )
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed and all("q_proj" in name for name in changed)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "which methods? give --methods a,b or --methods all, or a plan with methods:"),
        (("--methods", "npoo"), "no method 'npoo'; did you mean npo?"),
        (("--methods", "npo,npo"), "two methods are called npo; give one of them another label"),
        (("--methods", "npo", "--seeds", "one"), "--seeds 'one'; write them as 0,1,2"),
        (
            ("--methods", "npo", "--level", "2"),
            "--level 2.0 is out of range; it must be above 0 and at most 1",
        ),
        (("--methods", "npo", "--executor", "rya"), "--executor takes no 'rya'; did you mean ray?"),
        (
            ("--methods", "npo", "--benchmark", "tofu:forget10"),
            "which model? tofu:forget10 needs --model with a folder or owner/name",
        ),
        (("--methods", "npo"), "where to? give --out FOLDER"),
    ],
)
def test_wrong_options_are_refused(refused, words, told):
    assert refused("bench", *words).startswith(told)


def test_ray_is_named_when_it_is_missing(refused, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    said = refused("bench", "--methods", "npo", "--executor", "ray", "--out", "x")
    assert (
        said
        == "--executor ray needs the package ray; pip install 'expunge[ray]', or leave --executor "
        "away"
    )


def test_a_label_stays_inside_its_folder():
    with pytest.raises(Refused, match="label"):
        entry_of({"name": "npo", "label": "../npo"})


def test_a_folder_that_holds_something_else(refused, tmp_path):
    (tmp_path / "mine.txt").touch()
    assert "is not empty and was not made by expunge bench (mine.txt)" in refused(
        "bench", "--methods", "npo", "--out", tmp_path
    )


# ------------------------------------------------------------------ a small bench

PLAN = """
methods:
- simnpo
- {name: rmu, args: {layer: 9}, label: too-deep}
- task_arithmetic
benchmark: builtin
recipe: {steps: 2}
training: {steps: 2, batch: 4, lr: 1.0e-3}
budget: 3
workers: 1
"""


@pytest.fixture(scope="module")
def benched(tmp_path_factory):
    """The folder of a finished bench of two steps, one of whose methods cannot run."""

    def make(place):
        from expunge.experiments.sweep.run import bench

        (place / "plan.yaml").write_text(PLAN)
        bench(BenchRequest(plan=str(place / "plan.yaml"), out=str(place / "out"), quiet=True))

    return once(tmp_path_factory, "bench-small", make)


@pytest.mark.slow
def test_cells_hold_numbers_settings_and_cost(benched):
    found = json.loads((benched / "out" / "cells" / "simnpo-s0" / "result.json").read_text())
    some = found["at_settings"]
    assert some["steps"] == 2 and some["tokens"] > 0 and some["seconds"] > 0
    assert found["settings"]["lr"] == {"value": 1e-3, "source": "command line"}
    assert {
        "forget/probability",
        "retain/probability",
        "neighbour/probability",
        "model_utility",
    } <= set(some["values"])
    assert (
        0 <= some["at_level"]["u"] <= 1
        and "forget/extraction_strength" in some["at_level"]["values"]
    )
    assert found["at_budget"]["steps"] == 3 and not found["at_budget"].get("same")
    assert not (benched / "out" / "cells" / "simnpo-s0" / "model").exists()


@pytest.mark.slow
def test_equal_utility_is_reached_and_never_by_more_than_a_step(benched):
    found = json.loads((benched / "out" / "cells" / "simnpo-s0" / "result.json").read_text())
    level = found["at_settings"]["at_level"]
    assert level["values"]["retain/probability"]["value"] >= found["level"] or level["u"] == 1


@pytest.mark.slow
def test_a_failing_method_is_a_cell_with_one_line(benched):
    found = json.loads((benched / "out" / "bench.json").read_text())
    assert found["methods"]["too-deep"]["n"] == 0
    assert found["methods"]["too-deep"]["errors"] == [
        "seed 0: layer 9 of a model with 4 blocks (0 to 3); choose one with --layer"
    ]
    assert found["methods"]["simnpo"]["n"] == 1
    text = (benched / "out" / "bench.md").read_text()
    assert (
        "## Failed" in text
        and "too-deep, seed 0: layer 9" in text
        and "| original" in text
        and "| gold" in text
    )


@pytest.mark.slow
def test_no_text_of_the_case_is_in_what_is_shared(benched):
    case = registry.resolve("benchmarks", "builtin", {}).case
    names = {
        word for e in case.evaluate["forget"] for word in e.prompt.split() if word[:1].isupper()
    } - {"What", "Where", "Which", "Who"}
    told = [
        p.read_text()
        for p in (benched / "out").rglob("*")
        if p.suffix in (".json", ".md", ".svg", ".html") and "cells" in str(p)
    ]
    told += [
        (benched / "out" / n).read_text()
        for n in ("bench.json", "bench.md", "tradeoff.html", "tradeoff.svg")
    ]
    answers = [e.answer for e in case.evaluate["forget"]]
    assert names and told and not any(a in t for a in answers for t in told)


@pytest.mark.slow
def test_a_bench_goes_on_where_it_stopped(benched, tmp_path, expunge):
    out = tmp_path / "out"
    shutil.copytree(benched / "out", out)
    kept = out / "cells" / "simnpo-s0" / "result.json"
    lost = out / "cells" / "task_arithmetic-s0" / "result.json"
    model = out / "models" / "original-s0" / "model" / "model.safetensors"
    before, numbers = kept.stat().st_mtime_ns, json.loads(lost.read_text())["at_settings"]["values"]
    made = model.stat().st_mtime_ns
    lost.unlink()  # as if killed before it was written
    code, said, _ = expunge("bench", benched / "plan.yaml", "--out", out, "--quiet")
    assert code == 0 and "simnpo" in said and "failed: too-deep" in said
    assert kept.stat().st_mtime_ns == before and model.stat().st_mtime_ns == made
    assert json.loads(lost.read_text())["at_settings"]["values"] == numbers


def test_an_edited_cell_is_not_trusted(tmp_path, caplog):
    ask = {"name": "npo", "seed": 0}
    write_cell(tmp_path, ask, {"values": {"forget/probability": 0.4, "odd": float("nan")}})
    assert (
        read_cell(tmp_path, ask)["values"]["forget/probability"] == 0.4
        and "edited" not in caplog.text
    )
    file = tmp_path / "result.json"
    file.write_text(file.read_text().replace("0.4", "0.1"))
    assert (
        read_cell(tmp_path, ask) is None
        and f"{file}: edited after it was made: not trusted" in caplog.text
    )


@pytest.mark.slow
def test_another_question_is_another_cell(benched):
    place = benched / "out" / "cells" / "simnpo-s0"
    ask = json.loads((place / "result.json").read_text())["ask"]
    assert read_cell(place, ask) is not None
    assert read_cell(place, ask | {"budget": 4}) is None and read_cell(place / "no", ask) is None


@pytest.mark.slow
def test_all_cells_failing_is_a_failure(benched, tmp_path, refused):
    out = tmp_path / "out"
    shutil.copytree(benched / "out", out)
    (tmp_path / "plan.yaml").write_text(
        PLAN.replace("- simnpo\n", "").replace("- task_arithmetic\n", "")
    )
    said = refused("bench", tmp_path / "plan.yaml", "--out", out, "--quiet", code=1)
    assert said.startswith("no cell could be made; the first: seed 0: layer 9")


# ------------------------------------------------------------------ workers


def double(file, n):
    file.write_text(str(2 * n))


def refuse():
    raise Refused("no")


@pytest.mark.slow
def test_two_workers_make_what_one_makes(tmp_path):
    for workers in (1, 2):
        with pool(workers) as some:
            together(
                some, "numbers", [(double, tmp_path / f"{workers}-{n}", n) for n in range(4)], True
            )
        assert [(tmp_path / f"{workers}-{n}").read_text() for n in range(4)] == ["0", "2", "4", "6"]


def test_the_first_failure_ends_it():
    with pytest.raises(Refused, match="no"), pool(1) as some:
        together(some, "numbers", [(refuse,)], True)


# ------------------------------------------------------------------ what is shown


def made(n):
    """A gathered bench of n invented methods."""
    flat = lambda **values: {k.replace("__", "/"): spread([v, v]) for k, v in values.items()}
    point = lambda f, r: flat(
        forget__probability=f,
        retain__probability=r,
        neighbour__probability=r,
        forget__extraction_strength=f,
    )
    rows = {}
    for i in range(n):
        f, r = 0.05 + 0.9 * ((i * 7) % n) / n, 0.3 + 0.7 * ((i * 11) % n) / n
        level = point(min(f + 0.1, 1), 0.95) | {"u": spread([i / n, i / n])}
        more = flat(quality=r, relearned=f, garbled=0.5)
        some = (
            point(f, r)
            | more
            | {"steps": 60, "tokens": 1000, "seconds": 2.0, "at_level": level, "same": True}
        )
        rows[f"method_number_{i}"] = {
            "n": 2,
            "errors": [],
            "settings": "--lr 1",
            "preset": True,
            "at_settings": some,
        }
    plan = {"benchmark": "builtin", "seeds": [0, 1], "budget": 0, "level": 0.95, "relearn": {}}
    told = {
        "command": "expunge bench",
        "machine": "",
        "cpu_seconds": 1.0,
        "plan": plan,
        "skipped": {},
    }
    return {**told, "original": point(0.95, 0.95), "gold": point(0.1, 1.0), "methods": rows}


def test_every_method_is_in_table_and_drawings():
    found = made(45)
    text, drawn, lines = page(found), str(tradeoff(found)), str(strips(found))
    for i in range(45):
        assert (
            f"method_number_{i}" in text
            and f"method_number_{i}<" in drawn
            and f"method_number_{i}<" in lines
        )
    assert "original" in drawn and "gold" in drawn and "http" not in drawn


def test_the_order_and_the_front():
    found = made(3)
    rows = found["methods"]
    for name, f, r, q in (
        ("method_number_0", 0.0, 0.9, 0.4),
        ("method_number_1", 0.08, 0.95, 0.2),
        ("method_number_2", 0.5, 0.5, 0.3),
    ):
        rows[name]["at_settings"]["forget/probability"] = spread([f])
        rows[name]["at_settings"]["retain/probability"] = spread([r])
        rows[name]["at_settings"]["quality"] = spread([q])
    assert [name[-1] for name, _ in ordered(found)] == ["0", "2", "1"]
    assert front(found) == {"method_number_1"}  # .10 below gold is farther from it than .02 below


def test_without_a_gold_nothing_is_ranked_by_quality():
    found = made(3)
    del found["gold"]
    rows = found["methods"]
    for i, left in enumerate((0.4, 0.2, 0.3)):
        rows[f"method_number_{i}"]["at_settings"]["quality"] = spread([None])
        rows[f"method_number_{i}"]["at_settings"]["at_level"]["forget/probability"] = spread([left])
    assert [name[-1] for name, _ in ordered(found)] == ["1", "2", "0"]
    assert "**quality** needs a gold" in page(found)
    assert "**quality** needs a gold" not in page(made(3))


def test_quality_punishes_overshoot_hiding_and_damage():
    """Three models with the same forget probability after relearning or before it, and one like
    gold.
    """
    end = lambda f, r, n, after: {
        "values": {
            f"{k}/probability": {"value": v}
            for k, v in (("forget", f), ("retain", r), ("neighbour", n))
        },
        "relearned": after,
    }
    ends = {"original": end(0.9, 0.9, 0.9, 0.9), "gold": end(0.1, 1.0, 1.0, 0.2)}
    of = lambda *found: quality_of(end(*found), ends)
    like_gold, overshot, hidden, damaged = (
        of(0.1, 0.9, 0.9, 0.2),
        of(0.0, 0.9, 0.9, 0.2),
        of(0.1, 0.9, 0.9, 0.9),
        of(0.1, 0.45, 0.9, 0.2),
    )
    assert like_gold["quality"] == 1.0
    assert overshot["closeness"] == pytest.approx(1 - 0.1 / 0.8) and overshot[
        "quality"
    ] == pytest.approx(4 / (3 + 8 / 7))
    assert hidden["resistance"] == 0.0 and hidden["quality"] == 0.0
    assert damaged["retain"] == pytest.approx(0.5) and damaged["quality"] == pytest.approx(4 / 5)
    assert set(quality_of(end(0.1, 0.9, 0.9, 0.2), {**ends, "gold": None}).values()) == {None}
    assert of(None, 0.9, 0.9, 0.2)["quality"] is None  # a missing part is not taken for a good one


def test_garbled_answers_are_stranger_than_gold_ever_is():
    gold = np.linspace(0.0, 2.0, 101)
    assert garbled(gold, gold) == pytest.approx(0.01, abs=0.01)
    assert garbled(np.array([0.0, 1.0, 5.0, np.inf]), gold) == 0.5
    assert garbled(np.array([]), gold) is None


def test_few_groups_are_told_beside_the_interval_of_a_single_seed():
    few = {"value": 0.5, "interval": [0.1, 0.9], "warning": "too few groups"}
    one = summary([{"values": {"forget/probability": few}}])["forget/probability"]
    assert ranged(one) == ".50 [.10 .90], too few groups"
    two = summary([{"values": {"forget/probability": few}}] * 2)["forget/probability"]
    assert ranged(two) == ".50 [.50 .50]", "the range over seeds is no interval over groups"


def test_spread_of_seeds_and_of_one():
    assert spread([0.1, 0.3])["mean"] == pytest.approx(0.2) and spread([0.1, 0.3])["low"] == 0.1
    assert spread([0.2])["low"] is None, "one number says nothing of its spread"
    assert spread([0.2], [[0.1, 0.3]])["high"] == 0.3 and spread([None])["mean"] is None
