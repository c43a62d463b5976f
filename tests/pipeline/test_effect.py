# ruff: noqa: F401, F811 (fixtures are imported by name)
"""What a run did to the model is kept and, if it was nothing, said; and one model is in memory
while another is made of it.
"""

import copy
from dataclasses import replace

import pytest
import torch
import yaml
from commands import Desk, desk, expunge, model
from living import living
from small import rows, small_subject

from expunge import api
from expunge.core.data import Case
from expunge.core.stages import Descent
from expunge.data.read import read
from expunge.experiments.tuning.search import Budget, Search
from expunge.losses.terms import nll
from expunge.models.causal_lm.load import digest_folder, load
from expunge.models.causal_lm.lora import attach
from expunge.models.causal_lm.save import save
from expunge.models.families.source import ModelSource
from expunge.models.modules import digest_tensors
from expunge.pipeline.effect import before, effect
from expunge.pipeline.settings import ResolvedSettings
from expunge.pipeline.training_inputs import Supplied, TrainingInputs
from expunge.pipeline.unlearn import unlearn
from expunge.report.format import unmoved
from expunge.training import stages as changing
from expunge.training.sampler import Training


def run_of(out):
    return yaml.safe_load((out / "run.yaml").read_text())


@pytest.mark.parametrize(
    ("more", "did"),
    [
        ((), True),
        (("--lora", 2), True),
        (("--lr", "0"), False),
        (("--lr", "0", "--lora", 2), False),
        (("--lr", "1e-12"), False),
    ],
    ids=["trained", "trained lora", "lr 0", "lr 0 lora", "lr too small for float32"],
)
def test_a_run_that_does_nothing_says_so_and_others_do_not(desk, expunge, more, did):
    out = desk.place / "out"
    code, _, err = expunge(*desk.unlearn("grad_diff", out, *more))
    found = run_of(out)["effect"]
    assert code == 0 and found["nothing"] is not did
    if did:
        assert (
            err == ""
            and found["weights"]["changed"] > 0
            and found["loss"]["after"] > found["loss"]["before"] + 0.01
        )
    else:
        assert (
            err.startswith("warning: grad_diff: ")
            and "nothing was unlearned; raise --lr or --steps" in err
        )
        assert len(err.splitlines()) == 1 and found["loss"]["before"] == pytest.approx(
            found["loss"]["after"], abs=1e-4
        )
    assert run_of(out)["result"]["digest"] == digest_folder(out / "model") == load(out).digest


def test_training_that_teaches_nothing_says_so(desk, expunge):
    out = desk.place / "out"
    code, _, err = expunge(
        "train",
        "--model",
        desk.model,
        *desk.data(),
        "--steps",
        1,
        "--lr",
        0,
        "--out",
        out,
        "--quiet",
    )
    assert code == 0 and "nothing was learned" in err and run_of(out)["effect"]["nothing"]


@pytest.mark.parametrize("kept", [True, False], ids=["on disk", "in memory only"])
def test_unmoved_moved_by_a_rounding_and_moved(tmp_path, kept):
    start = small_subject()
    start.digest = "d"
    some = rows("forget", 6)
    if kept:
        save(start, tmp_path / "m")
        start.folder = tmp_path / "m"
    met = before(start, some)
    after = replace(start, model=copy.deepcopy(start.model))
    assert effect(met, after)["nothing"] and "no weight changed" in unmoved(effect(met, after))
    with torch.no_grad():
        weight = after.model.model.layers[0].mlp.up_proj.weight
        weight[0, 0] = torch.nextafter(weight[0, 0], torch.tensor(9.0))
    found = effect(met, after)
    if kept:  # without files only equality can be seen
        assert (
            found["weights"]["changed"] == 1
            and found["nothing"]
            and "less than their type can tell apart" in unmoved(found)
        )
    with torch.no_grad():
        weight += 0.1
    found = effect(met, after)
    assert not found["nothing"]
    if kept:
        whole = {n: p for n, p in start.model.named_parameters()}
        gap = (
            sum(
                float((p - whole[n]).double().square().sum())
                for n, p in after.model.named_parameters()
            )
            ** 0.5
        )
        size = sum(float(p.double().square().sum()) for p in whole.values()) ** 0.5
        assert found["weights"]["relative"] == pytest.approx(gap / size, rel=1e-2)


def test_an_adapter_counts_as_what_it_adds(tmp_path):
    start = small_subject()
    met = before(replace(start, folder=save(start, tmp_path / "m")), rows("forget", 4))
    after = attach(replace(start, model=copy.deepcopy(start.model)), 2, seed=0)
    assert effect(met, after)["nothing"]
    with torch.no_grad():
        for name, p in after.model.named_parameters():
            if "lora_B" in name:
                p += 0.5
    assert not effect(met, after)["nothing"]


@pytest.mark.parametrize(
    ("words", "models"),
    [
        (("unlearn", "grad_diff"), [1]),
        (("unlearn", "grad_diff", "--lora", "2"), [1]),
        (("unlearn", "relabel", "--labels", "adversarial"), [1]),
        (("unlearn", "rkld"), [1, 2]),  # its teacher is a copy that was trained first
        (("train",), [1]),
    ],
    ids=lambda w: " ".join(map(str, w)),
)
def test_one_model_is_in_memory_while_it_is_trained(desk, expunge, counted, words, models):
    common = [
        "--model",
        desk.model,
        *desk.data(),
        "--steps",
        1,
        "--batch",
        4,
        "--out",
        desk.place / "out",
        "--quiet",
    ]
    code, _, err = expunge(*words, *common)
    assert code == 0, err
    assert counted == models


def test_one_model_is_in_memory_while_a_search_trains_its_candidates(desk, counted, tmp_path):
    rows = {role: read(getattr(desk, role), role=role) for role in ("forget", "retain")}
    source = ModelSource(lambda: load(desk.model))
    search = Search(source, Case(rows, rows), Supplied(), tmp_path, Budget(8))
    for candidate in search.candidates(("grad_diff",))[:2]:
        assert search.run(candidate, 0, 2).score is not None
    assert counted == [1, 1]


@pytest.fixture
def counted(monkeypatch):
    """How many models there are more than before, at the beginning of each training."""
    met = []
    descend = changing.descend
    already = len(living())

    def counting(*args, **kwargs):
        met.append(len(living()) - already)
        return descend(*args, **kwargs)

    monkeypatch.setattr(changing, "descend", counting)
    return met


@pytest.mark.parametrize(
    "lent", [False, True], ids=["from a folder", "in memory, which stays its owner's"]
)
def test_one_model_is_in_memory_while_python_trains_it(desk, counted, lent):
    rows = {"forget": desk.forget, "retain": desk.retain}
    ours = load(desk.model) if lent else desk.model
    digest = digest_tensors(ours.model) if lent else ""
    brief = {"steps": 1, "batch": 4, "save_every": 0}
    trained = api.train(ours, **rows, **brief)
    assert counted == [1 + lent]
    assert not lent or digest_tensors(ours.model) == digest != trained.digest
    del trained
    api.unlearn(ours, "grad_diff", **rows, **brief)
    assert counted == [1 + lent] * 2


def test_stages_hand_the_model_on(desk, counted, tmp_path):
    """A second stage changes what the first one left: no copy of it stays."""
    case = Case(
        {"forget": read(desk.forget, role="forget"), "retain": read(desk.retain, role="retain")}, {}
    )
    method = tuple(Descent(name, (nll("retain"),)) for name in ("one", "two", "three"))
    settings = ResolvedSettings(Training(steps=1, batch=4, save_every=0))
    unlearn(
        ModelSource(lambda: load(desk.model)),
        method,
        TrainingInputs(method, case),
        settings,
        tmp_path / "run",
    )
    assert counted == [1, 1, 1]


def test_a_model_is_loaded_once_until_it_is_taken():
    made = []
    source = ModelSource(lambda: made.append(1) or small_subject())
    assert source() is source() and len(made) == 1
    taken = source.take()
    assert taken is not source() and len(made) == 2


def test_a_model_that_is_lent_stays_as_it_is():
    mine = small_subject()
    source = ModelSource.lent(mine)
    assert source() is mine and source.take().model is not mine.model and source() is mine
