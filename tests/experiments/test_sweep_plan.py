# ruff: noqa: F401, F811 (fixtures are imported by name)
"""Plans of a bench: from options, from a file, and what is refused before the first cell."""

import json

import pytest
import torch
from commands import expunge, refused

from expunge import registry
from expunge.core.errors import Refused
from expunge.core.requests import BenchRequest
from expunge.experiments.sweep.plan import ALL, entry_of, plan_of, read_plan
from expunge.experiments.sweep.run import runnable
from expunge.models.causal_lm.load import load


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
