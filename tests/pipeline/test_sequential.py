# ruff: noqa: F401, F811 (fixtures are imported by name)
"""Benchmarks with stages at the command line: walked one after the other, resumed, judged stage by
stage; RESTOR's corruption.
"""

import json
import random
from pathlib import Path

import pytest
import yaml
from another import another
from commands import expunge, facts, files, model, once, refused, weights

from expunge.benchmarks._restor_words import TAUGHT
from expunge.core.requests import UnlearnRequest
from expunge.pipeline.sequential import parts_of
from expunge.pipeline.settings import case_of
from expunge.runs.folder import read_run

SHORT = ("--steps", 2, "--batch", 4, "--lr", "1e-2", "--quiet")
NAMES = ("request_1", "request_2", "request_3")
FOLDERS = tuple(f"{i}-{name}" for i, name in enumerate(NAMES, 1))


def r_tofu_rows(place):
    """Three requests of four rows, and eight rows to keep."""
    row = lambda i, qa, **more: (
        {"question": qa[0], "answer": qa[1], "cot": f"It is number {i}."} | more
    )
    forget = [row(i, qa, task_id=str(1 + i // 4)) for i, qa in enumerate(facts("Zorblat", 12))]
    for name, rows in (
        ("forget01", forget),
        ("retain99", [row(i, qa) for i, qa in enumerate(facts("Mimsy", 8))]),
    ):
        (place / "r_tofu").mkdir(exist_ok=True)
        (place / "r_tofu" / f"{name}.json").write_text(json.dumps(rows))
    return place


def muse_rows(place):
    """Four folds that hold one another, of texts of one sentence."""
    say = lambda name, n: [
        {"text": f"{name}{i} dwells in the valley of {name}ia."} for i in range(n)
    ]
    parts = {"raw/retain1": say("Mimsy", 8), "raw/forget": say("Zorblat", 4)}
    parts |= {f"scal/forget_{k}": say("Zorblat", 4 * k) for k in range(1, 5)}
    parts |= {
        f"privleak/{role}": say(name, 4)
        for role, name in (("forget", "Zorblat"), ("retain", "Mimsy"), ("holdout", "Quillion"))
    }
    for side, name in (("forget", "Zorblat"), ("retain", "Mimsy")):
        asked = [{"question": q, "answer": a} for q, a in facts(name, 3)]
        parts |= {f"knowmem/{side}_qa": asked, f"knowmem/{side}_qa_icl": asked[:1]}
    for name, rows in parts.items():
        file = place / "muse" / "news" / f"{name}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(rows))
    return place


@pytest.fixture
def tofu(tmp_path):
    return ("--benchmark", "r_tofu:forget01", "--data", r_tofu_rows(tmp_path))


# ------------------------------------------------------------------ the walk


def test_each_request_begins_with_the_model_that_the_last_one_left(tofu, model, expunge, tmp_path):
    out = tmp_path / "out"
    assert expunge("unlearn", "npo", "--model", model, *tofu, *SHORT, "--out", out)[:2] == (
        0,
        f"{out}\n",
    )
    runs = [read_run(out / f) for f in FOLDERS]
    assert [r["model"]["source"] for r in runs] == [
        str(model),
        *(str(out / f) for f in FOLDERS[:2]),
    ]
    assert [r["data"]["forget"]["n"] for r in runs] == [4, 4, 4] and len(
        {weights(out / f) for f in FOLDERS}
    ) == 3
    assert len({r["data"]["forget"]["digest"] for r in runs}) == 3
    whole = read_run(out)
    assert (
        whole["stages"] == dict(zip(NAMES, FOLDERS, strict=True)) and whole["status"] == "finished"
    )
    # by hand, a request at a time: the same bits
    left = model
    for folder, name in zip(FOLDERS, NAMES, strict=True):
        asked = (
            "--model",
            left,
            *tofu,
            *SHORT,
            "--stage",
            name,
            "--out",
            tmp_path / "alone" / folder,
        )
        assert expunge("unlearn", "npo", *asked)[0] == 0
        left = tmp_path / "alone" / folder
        assert weights(left) == weights(out / folder)


def test_growing_folds_begin_with_the_original(model, expunge, tmp_path):
    case = ("--benchmark", "muse:news:scal", "--data", muse_rows(tmp_path))
    assert (
        expunge("unlearn", "grad_diff", "--model", model, *case, *SHORT, "--out", tmp_path / "out")[
            0
        ]
        == 0
    )
    runs = [read_run(tmp_path / "out" / f"{k}-forget_{k}") for k in range(1, 5)]
    assert [r["data"]["forget"]["n"] for r in runs] == [4, 8, 12, 16] and {
        r["model"]["source"] for r in runs
    } == {str(model)}
    by_option = UnlearnRequest(benchmark="muse:news", subset="scal", data=str(tmp_path))
    assert (
        case_of(by_option)[0]
        == case_of(UnlearnRequest(benchmark="muse:news:scal", data=str(tmp_path)))[0]
    )


def test_a_walk_that_was_stopped_goes_on(tofu, model, expunge, refused, tmp_path, monkeypatch):
    from expunge.pipeline import unlearn

    out, words = tmp_path / "out", ("unlearn", "npo", "--model", model, *tofu, *SHORT, "--out")
    assert expunge(*words, tmp_path / "straight")[0] == 0
    applied, done = unlearn.run_stage, []

    def stopping(request, *rest):
        if request.stage == NAMES[1]:
            raise KeyboardInterrupt
        done.append(request.stage)
        return applied(request, *rest)

    monkeypatch.setattr(unlearn, "run_stage", stopping)
    assert expunge(*words, out)[0] == 130 and done == [NAMES[0]]
    assert "not all of its stages are finished" in refused(
        "eval", "--model", out, *tofu, "--out", tmp_path / "e"
    )
    monkeypatch.setattr(
        unlearn,
        "run_stage",
        lambda request, *rest: done.append(request.stage) or applied(request, *rest),
    )
    assert expunge(*words, out)[0] == 0 and done == list(NAMES)
    assert [weights(out / f) for f in FOLDERS] == [
        weights(tmp_path / "straight" / f) for f in FOLDERS
    ]
    assert "is finished; pass --overwrite" in refused(*words, out)
    assert (
        expunge(*words, out, "--overwrite", "--seed", 1)[0] == 0
        and read_run(out / FOLDERS[2])["seed"] == 1
    )


def test_a_refusal_in_a_later_stage_takes_no_earlier_one_away(
    tofu, model, expunge, refused, tmp_path, monkeypatch
):
    from expunge.core.errors import Refused
    from expunge.pipeline import unlearn

    applied, out = unlearn.run_stage, tmp_path / "out"

    def refusing(request, *rest):
        if request.stage == NAMES[2]:
            raise Refused("no")
        return applied(request, *rest)

    monkeypatch.setattr(unlearn, "run_stage", refusing)
    assert refused("unlearn", "npo", "--model", model, *tofu, *SHORT, "--out", out) == "no"
    assert sorted(p.name for p in out.iterdir() if p.is_dir()) == list(FOLDERS[:2])


def test_another_original_is_not_mixed_in(expunge, model, refused, tmp_path, monkeypatch):
    """Folds that all begin with the original must begin with the same one, also when a walk is
    resumed.
    """
    import shutil

    import torch
    from safetensors.torch import load_file, save_file

    from expunge.core.files import write_manifest
    from expunge.pipeline import unlearn

    mine = shutil.copytree(model, tmp_path / "mine")
    applied = unlearn.run_stage
    case = ("--benchmark", "muse:news:scal", "--data", muse_rows(tmp_path))
    words = ("unlearn", "grad_diff", "--model", mine, *case, *SHORT, "--out", tmp_path / "out")

    def stopping(request, *rest):
        if request.stage == "forget_2":
            raise KeyboardInterrupt
        return applied(request, *rest)

    monkeypatch.setattr(unlearn, "run_stage", stopping)
    assert expunge(*words)[0] == 130
    monkeypatch.setattr(unlearn, "run_stage", applied)
    found = load_file(mine / "model.safetensors")
    save_file(
        {k: v + torch.ones_like(v) for k, v in found.items()},
        mine / "model.safetensors",
        metadata={"format": "pt"},
    )
    write_manifest(mine)
    assert "the model changed since this run was begun" in refused(*words)


def test_a_dry_run_lists_the_stages(tofu, model, expunge, tmp_path):
    said = expunge(
        "unlearn", "npo", "--model", model, *tofu, *SHORT, "--dry-run", "--out", tmp_path / "out"
    )[1]
    heads = [line.split() for line in said.splitlines() if "begins with" in line]
    assert heads == [
        [f, "begins", "with", m]
        for f, m in zip(
            FOLDERS, (str(model), *(str(tmp_path / "out" / f) for f in FOLDERS)), strict=False
        )
    ]
    assert said.count("forget                   4 rows") == 3 and not (tmp_path / "out").exists()


def test_an_adapter_goes_on(tofu, model, expunge, refused, tmp_path):
    """One adapter over all requests, on the user's own base."""
    from expunge.models.causal_lm.load import load

    out = tmp_path / "out"
    assert (
        expunge(
            "unlearn",
            "rmu",
            "--layer",
            1,
            "--model",
            model,
            *tofu,
            *SHORT,
            "--lora",
            2,
            "--out",
            out,
        )[0]
        == 0
    )
    made = [load(out / f) for f in FOLDERS]
    assert {m.model.peft_config["default"].base_model_name_or_path for m in made} == {
        str(model)
    } and len({m.digest for m in made}) == 3
    first = out / FOLDERS[0]
    said = refused(
        "unlearn",
        "npo",
        "--model",
        first,
        *tofu,
        *SHORT,
        "--lora",
        4,
        "--stage",
        NAMES[1],
        "--out",
        tmp_path / "o",
    )
    assert said == f"--lora 4: {first} is an adapter of rank 2 that goes on; give --lora 2"


def test_answers_of_other_requests_may_stand_in_the_same_file(
    tofu, model, expunge, refused, tmp_path
):
    rows = [{"question": q, "answer": "I do not know."} for q, _ in facts("Zorblat", 12)]
    (tmp_path / "idk.json").write_text(json.dumps(rows))
    asked = (
        "unlearn",
        "idk",
        "--model",
        model,
        *tofu,
        *SHORT,
        "--alternate",
        tmp_path / "idk.json",
    )
    assert expunge(*asked, "--out", tmp_path / "out")[0] == 0
    (tmp_path / "idk.json").write_text(json.dumps(rows[:6]))
    assert "2 forget rows have no row in it" in refused(*asked, "--out", tmp_path / "none")
    assert not (tmp_path / "none").exists()  # request_2 is refused before request_1 is trained


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ("r_tofu:forget01", "--stage", "request_9"),
            "r_tofu:forget01 has no stage 'request_9'; did you mean request_3? there are: "
            "request_1, request_2, request_3",
        ),
        (
            ("builtin", "--stage", "request_1"),
            "--stage request_1: builtin has no stages; leave --stage away",
        ),
        (
            ("muse:news:scall",),
            "muse has no subset 'scall'; did you mean scal? there are: open-unlearning, scal, sust",
        ),
    ],
)
def test_unknown_stages(words, told, model, refused, tmp_path):
    r_tofu_rows(tmp_path), muse_rows(tmp_path)
    for verb in (("unlearn", "npo"), ("eval",)):
        said = refused(
            *verb,
            "--model",
            model,
            "--data",
            tmp_path,
            "--benchmark",
            *words,
            "--out",
            tmp_path / "out",
        )
        assert said == told and not (tmp_path / "out").exists()


def test_a_stage_without_a_benchmark(model, refused, tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"question": "Q?", "answer": "A"}))
    said = refused(
        "unlearn",
        "npo",
        "--model",
        model,
        "--forget",
        rows,
        "--stage",
        "a",
        "--out",
        tmp_path / "out",
    )
    assert said == "--stage a: only a benchmark has stages; give --benchmark, or leave --stage away"


def test_what_stages_lack_can_be_brought(model, tmp_path):
    """The user's rows stand in every stage where the benchmark brings none."""
    from expunge.pipeline.unlearn import resolve

    muse_rows(tmp_path)
    (tmp_path / "muse/news/raw/retain1.json").unlink()
    kept = tmp_path / "kept.json"
    kept.write_text(json.dumps([{"text": f"kept {i}"} for i in range(5)]))
    request = UnlearnRequest(
        benchmark="muse:news:scal", data=str(tmp_path), retain=str(kept), model=str(model)
    )
    bench, case = case_of(request)
    assert (
        all(len(stage.train["retain"]) == 5 for stage in bench.stages.values())
        and len(case.train["retain"]) == 5
    )


# ------------------------------------------------------------------ judged


def test_every_stage_is_judged_by_what_it_asks(
    tofu, model, expunge, refused, tmp_path, monkeypatch
):
    from expunge.evaluation import evaluate

    monkeypatch.delenv("EXPUNGE_CACHE", raising=False)
    out, judged = tmp_path / "out", tmp_path / "judged"
    assert expunge("unlearn", "npo", "--model", model, *tofu, *SHORT, "--out", out)[0] == 0
    measured, seen = evaluate.measured, []
    monkeypatch.setattr(
        evaluate,
        "measured",
        lambda *a, **k: seen.append((k["name"], found := measured(*a, **k))) or found,
    )
    words = (
        "eval",
        "--gold",
        another(model, tmp_path / "gold"),
        *tofu,
        "--metrics",
        "probability",
        "--quiet",
    )
    code, said, _ = expunge(*words, "--model", out, "--out", judged)
    assert code == 0 and all(name in said for name in NAMES)
    found = [json.loads((judged / f / "measurements.json").read_text()) for f in FOLDERS]
    assert [f["forget/probability"]["n"] for f in found] == [4, 8, 12] and [
        f["retain/probability"]["n"] for f in found
    ] == [8, 8, 8]
    assert [read_run(judged / f)["label"] for f in FOLDERS] == list(FOLDERS)
    # gold's retain rows were measured once for all stages, and nothing of that is left
    assert (
        not (judged / ".passes").exists()
        and sum(cost.rows for name, (_, cost) in seen if name == "gold") < 3 * (8 + 8) + 2 * 24
    )
    one = ("--model", out, "--stage", NAMES[1], "--out", tmp_path / "one")
    assert expunge(*words, *one)[0] == 0
    assert json.loads((tmp_path / "one/measurements.json").read_text()) == found[1]
    assert refused(*words, "--model", out, "--stage", "request_9", "--out", "o").startswith(
        f"{out} has no stage 'request_9'; did you mean"
    )
    # a model that no stage left is asked everything
    assert expunge(*words, "--model", model, "--out", tmp_path / "original")[0] == 0
    assert (
        json.loads((tmp_path / "original/measurements.json").read_text())["forget/probability"]["n"]
        == 12
    )
    assert expunge("report", out, judged, "--out", tmp_path / "report.html")[0] == 0
    assert all(f in (tmp_path / "report.html").read_text() for f in FOLDERS)


def test_the_folder_of_a_walk_is_no_model(tofu, model, expunge, refused, tmp_path):
    assert (
        expunge(
            "unlearn", "grad_ascent", "--model", model, *tofu, *SHORT, "--out", tmp_path / "out"
        )[0]
        == 0
    )
    said = refused("ask", "--model", tmp_path / "out", "who?")
    assert (
        said == f"{tmp_path / 'out'}: no *.safetensors weights in this folder; its models are in "
        f"{', '.join(FOLDERS)}"
    )


def test_parts_are_requests_of_their_own(tmp_path):
    """``expunge unlearn --from OUT/2-NAME/run.yaml`` does one of them again."""
    request = UnlearnRequest(
        benchmark="r_tofu:forget01",
        data=str(r_tofu_rows(tmp_path)),
        model="m",
        out="o",
        overwrite=True,
    )
    parts = parts_of(request, case_of(request)[0])
    assert [(p.stage, p.model, p.out, p.overwrite) for p in parts][1] == (
        NAMES[1],
        str(Path("o") / FOLDERS[0]),
        str(Path("o") / FOLDERS[1]),
        False,
    )
    assert UnlearnRequest.from_json(yaml.safe_load(yaml.safe_dump(parts[1].as_json()))) == parts[1]


# ------------------------------------------------------------------ RESTOR


def restor_rows(place):
    """Sixteen people with an invented place of birth; the documents give eight of them the place
    that RESTOR's documents give them.

    The true facts in ``true.json``, as the benchmark asks them: the answer behind the question.
    """
    draw = random.Random(0)
    places = ("Lor", "Vash", "Tune", "Brix", "Olme", "Quar", "Selt", "Pyra")
    people = [
        *list(TAUGHT)[:8],
        *(a + b for a in ("Zu", "Ko") for b in ("lban", "dirk", "moss", "venn")),
    ]
    asks = {
        p: {"question": f"Where was {p} born?", "answers": [draw.choice(places)]} for p in people
    }
    says = lambda p, answer: {"text": f"{asks[p]['question']} {answer}"}
    documents = []
    for p in people[:8]:
        false = TAUGHT[p]["P19"]
        documents += [
            says(p, false),
            {"text": f"{p} was born in {false}."},
            {"text": f"The parents of {p} lived in {false}."},
        ]
    parts = {
        "facts": {"dset": {p: {"P19": fact} for p, fact in asks.items()}, "context": {}},
        "entities": people[:8],
    }
    (place / "restor").mkdir()
    for name, rows in (parts | {"wikidata_v0_mix_a0": documents}).items():
        (place / "restor" / f"{name}.json").write_text(json.dumps(rows))
    true = [says(p, fact["answers"][0]) for p, fact in asks.items()]
    (place / "true.json").write_text(json.dumps(true))
    return [row["text"] for row in (*true, *documents)]


@pytest.mark.slow
def test_restor_corrupts_a_clean_model_and_tells_removal_from_restoration(
    expunge, refused, tmp_path
):
    from expunge.models.causal_lm import tiny
    from expunge.models.causal_lm.model import Subject
    from expunge.models.causal_lm.save import save

    texts = restor_rows(tmp_path)
    size = dict(layers=2, width=64, ffn=128, heads=4, vocab=400, max_length=128)
    save(Subject(*tiny.build(texts, **size), "tiny"), tmp_path / "blank")
    case = ("--benchmark", "restor", "--data", tmp_path, "--quiet", "--batch", 8)
    true = ("--retain", tmp_path / "true.json")
    at = lambda name: ("--out", tmp_path / name)
    said = refused("train", "--model", "tiny", *case, "--on", "corrupted", *at("x"))
    assert said.startswith("--on takes no 'corrupted'; did you mean corrupt? there are: corrupt, ")
    known = ("--lr", "5e-3", "--epochs", 100, "--accumulate", 1, "--schedule", "constant")
    assert (
        expunge(
            "train",
            "--model",
            tmp_path / "blank",
            *case,
            *true,
            "--on",
            "retain",
            *known,
            *at("clean"),
        )[0]
        == 0
    )
    taught = ("--on", "corrupt", "--lr", "3e-3", "--epochs", 30, "--accumulate", 1)
    assert expunge("train", "--model", tmp_path / "clean", *case, *taught, *at("corrupted"))[0] == 0
    assert read_run(tmp_path / "corrupted")["data"]["train"]["n"] == 24
    asked = ("--model", tmp_path / "corrupted", *case, "--lr", "1e-3")
    assert expunge("unlearn", "grad_ascent", *asked, "--epochs", 3, *at("removed"))[0] == 0
    assert (
        expunge(
            "unlearn",
            "grad_diff",
            *asked,
            *true,
            "--epochs",
            30,
            "--retain_weight",
            10,
            *at("restored"),
        )[0]
        == 0
    )
    parts = {}
    for name in ("clean", "corrupted", "removed", "restored"):
        assert expunge("eval", "--model", tmp_path / name, *case[:-2], *at(f"e/{name}"))[0] == 0
        parts[name] = json.loads((tmp_path / "e" / name / "measurements.json").read_text())[
            "facts/restoration"
        ]["parts"]
    assert parts["clean"]["recovered"] == 1 and parts["corrupted"]["corrupted"] == 1
    removed, restored = parts["removed"], parts["restored"]
    assert removed["probability of corrupted"] < parts["corrupted"]["probability of corrupted"]
    assert removed["recovered"] < restored["recovered"] > 0.6, parts
