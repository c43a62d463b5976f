# ruff: noqa: F401, F811 (fixtures are imported by name)
"""Numbers that are edited after a run show, and are never good; originals and golds are no
unlearned models.
"""

import json
import shutil

import pytest
import yaml
from commands import Desk, desk, expunge, model, once
from report_runs import STORY, demo, seal_all

from expunge.report.findings import findings
from expunge.report.html import write_report
from expunge.report.load import find
from expunge.runs.seal import OLDER, UNSEALED, broken, edited, sealed


def facts_of(run):
    return yaml.safe_load((run / "run.yaml").read_text())


def write_facts(run, facts):
    (run / "run.yaml").write_text(yaml.safe_dump(facts, sort_keys=False))


def change_json(file, change):
    found = json.loads(file.read_text())
    change(found)
    file.write_text(json.dumps(found))


@pytest.fixture(scope="session")
def judged(model, tmp_path_factory):
    """A folder with runs: full and gold trained, ascent unlearned, each judged as a user would,
    without --kind.
    """

    def make(place):
        from expunge.cli.commands import main

        def run(*words):
            with pytest.raises(SystemExit) as ended:
                main([str(w) for w in words])
            assert ended.value.code == 0

        rows = Desk(place, model)
        short = ["--steps", 8, "--batch", 14, "--lr", "1e-2", "--quiet"]
        for name, on in (("full", "full"), ("gold", "retain")):
            run("train", "--model", model, *rows.data(), "--on", on, *short, "--out", place / name)
        run(*rows.unlearn("grad_diff", place / "ascent", "--model", place / "full"))
        for name in ("full", "gold", "ascent"):
            beside = ["--gold", place / "gold"] if name == "ascent" else []
            words = [
                "eval",
                "--model",
                place / name,
                *beside,
                *rows.data("forget", "retain", "holdout"),
            ]
            run(*words, "--metrics", "probability", "--out", place / "judged" / name, "--quiet")

    return once(tmp_path_factory, "seal-judged", make)


@pytest.fixture
def runs(judged, tmp_path):
    """A copy that a test may edit."""
    shutil.copytree(judged, tmp_path / "runs")
    return tmp_path / "runs"


def test_what_a_run_wrote_holds(runs):
    for name in ("full", "gold", "ascent"):
        run = runs / "judged" / name
        assert broken(run, facts_of(run)) == ""
    assert list(facts_of(runs / "judged" / "ascent")["seal"]["links"]) == [
        "run",
        "records/part-0.parquet",
        "measurements.json",
        "comparison.json",
    ]


def lower(found):
    found["forget/probability"]["value"] = 0.01


def equal(found):
    found["rows"]["forget/probability"]["equal"] = True


@pytest.mark.parametrize(
    ("name", "edit", "said"),
    [
        (
            "measurements.json",
            lambda f: change_json(f, lower),
            "measurements.json was edited after the run",
        ),
        (
            "comparison.json",
            lambda f: change_json(f, equal),
            "comparison.json was edited after the run",
        ),
        (
            "records/part-0.parquet",
            lambda f: f.write_bytes(f.read_bytes() + b" "),
            "records/part-0.parquet was edited after the run",
        ),
        ("comparison.json", lambda f: f.unlink(), "comparison.json was removed after the run"),
        ("curves.json", lambda f: f.write_text("{}"), "curves.json was put there after the run"),
    ],
    ids=["measurements", "comparison", "records", "removed", "added"],
)
def test_an_edit_is_named_and_the_report_is_not_green(runs, name, edit, said):
    run = runs / "judged" / "ascent"
    edit(run / name)
    assert broken(run, facts_of(run)) == said and edited(said)
    if name == "curves.json":
        (run / name).unlink()
        return
    page = write_report([runs], runs / "r.html").read_text()
    assert "edited: not trusted" in page and said in page
    found = find([runs])
    assert [f.level for f in findings(found.subjects, found.curves)] == ["bad"]
    assert not any(s.beside for s in found.subjects if s.label == "ascent")


EDITS = {
    "model": {"source": "elsewhere", "digest": "0" * 64},
    "kind": "gold",
    "label": "a prettier name",
    "status": "running",
    "effect": {"nothing": False},
    "made_by": "said",
    "altered": "",
    "request": {},
    "settings": {"lr": {"value": 1e-5}},
    "seed": 7,
    "data": {1: {}, "forget": {}},
    "anything else": "true",
}


@pytest.mark.parametrize("name", EDITS)
def test_whatever_a_report_acts_upon_is_sealed(runs, expunge, name):
    """Every fact of run.yaml, of a judgment and of the run that made the model: edited, put there,
    or taken away.
    """
    run, said = runs / "judged" / "ascent", "run.yaml was edited after the run"
    facts = facts_of(run)
    write_facts(run, facts | {name: EDITS[name]})
    assert broken(run, facts_of(run)) == said
    assert said in write_report([runs], runs / "r.html").read_text()
    assert broken(run, {k: v for k, v in facts.items() if k != name}) == (
        said if name in facts else ""
    )
    maker = runs / "ascent"
    write_facts(maker, facts_of(maker) | {name: EDITS[name]})
    assert broken(maker, facts_of(maker)) == said


def test_an_edited_run_is_not_believed_of_the_model_that_it_made(runs, expunge, caplog):
    maker = runs / "full"
    write_facts(maker, facts_of(maker) | {"on": "retain"})  # would make the original a gold
    words = (
        "--forget",
        runs / "forget.jsonl",
        "--metrics",
        "probability",
        "--out",
        runs / "again",
        "--quiet",
    )
    code, _, _ = expunge("eval", "--model", maker, *words)
    assert (
        code == 0
        and "the run in its folder is not believed: run.yaml was edited after the run"
        in caplog.text
    )
    found = facts_of(runs / "again")
    assert (
        found["kind"] == "unlearned"
        and "made_by" not in found
        and "not believed" in found["altered"]
    )
    assert broken(runs / "again", found) == ""


def test_a_seal_of_another_version_is_said_and_is_no_accusation(runs):
    run = runs / "judged" / "ascent"
    facts = facts_of(run)
    older = facts | {"seal": {k: v for k, v in facts["seal"].items() if k != "version"}}
    write_facts(run, older)
    assert broken(run, older) == OLDER and not edited(OLDER)
    found = find([runs])
    assert not any(f.level == "good" for f in findings(found.subjects, found.curves))
    page = write_report([runs], runs / "r.html").read_text()
    assert "Numbers that cannot be checked" in page and "edited: not trusted" not in page


def test_what_comes_from_another_run_is_seen(runs):
    """Files, seals, links in another order, secrets and texts of a run put into the folder of
    another one.
    """
    run, other = runs / "judged" / "ascent", runs / "judged" / "full"
    facts, theirs = facts_of(run), facts_of(other)
    assert broken(run, facts | {"seal": theirs["seal"]}) == "run.yaml was edited after the run"
    assert (
        broken(run, theirs) != ""
        and broken(run, {**theirs, "seal": facts["seal"]}) == "run.yaml was edited after the run"
    )
    turned = {**facts["seal"], "links": dict(reversed(facts["seal"]["links"].items()))}
    # the order is in the links, not in how they are listed
    assert broken(run, facts | {"seal": turned}) == ""
    swapped = dict(
        zip(facts["seal"]["links"], [*facts["seal"]["links"].values()][::-1], strict=True)
    )
    assert (
        broken(run, facts | {"seal": {**facts["seal"], "links": swapped}})
        == "run.yaml was edited after the run"
    )
    for name in ("records/part-0.parquet", "measurements.json"):
        own = (run / name).read_bytes()
        shutil.copy(other / name, run / name)
        assert broken(run, facts) == f"{name} was edited after the run"
        (run / name).write_bytes(own)
    salt, texts = run / "private" / "salt", run / "private" / "texts.json"
    own = salt.read_text()
    shutil.copy(other / "private" / "salt", salt)
    assert broken(run, facts) == "private/salt was replaced after the run"
    salt.write_text(own)
    texts.write_text("[{}]")
    assert broken(run, facts) == "private/texts.json was edited after the run"
    texts.unlink()  # texts may be taken away: they are private
    assert broken(run, facts) == ""


def test_a_chain_made_anew_without_the_secret_is_seen_where_the_secret_is(runs):
    run = runs / "judged" / "ascent"
    change_json(run / "measurements.json", lower)
    facts = facts_of(run)
    forged = facts | {"seal": {**facts["seal"], "links": sealed(run, facts)["links"]}}
    assert broken(run, forged) == "its digests were made anew after the run"
    bare = facts | {
        "seal": {"version": facts["seal"]["version"], "links": sealed(run, facts)["links"]}
    }
    assert broken(run, bare) == "the keyed end of its digests was removed after the run"
    shutil.rmtree(run / "private")  # evidence, not a signature: elsewhere nobody can tell
    assert broken(run, forged) == ""


def test_a_removed_seal_is_no_way_to_green(tmp_path):
    demo(tmp_path, {k: STORY[k] for k in ("original", "gold", "rmu")})
    good = find([tmp_path])
    assert [f.level for f in findings(good.subjects, good.curves)] == ["good"]
    run = next(
        p.parent
        for p in tmp_path.rglob("measurements.json")
        if "rmu" in str(p.parent) and "attacks" not in str(p)
    )
    write_facts(run, {k: v for k, v in facts_of(run).items() if k != "seal"})
    assert broken(run, facts_of(run)) == UNSEALED
    bare = find([tmp_path])
    told = findings(bare.subjects, bare.curves)
    assert [(f.level, f.headline) for f in told] == [
        ("warn", "not settled: its numbers cannot be checked")
    ]
    assert (
        "Numbers that cannot be checked"
        in write_report([tmp_path], tmp_path / "r.html").read_text()
    )


@pytest.mark.parametrize("whose", ["gold", "attacks"])
def test_nothing_is_good_beside_an_edited_yardstick(tmp_path, whose):
    demo(tmp_path, {k: STORY[k] for k in ("original", "gold", "rmu")})
    edited_ones = [
        p
        for p in tmp_path.rglob("*.json")
        if whose in str(p.parent) and p.name in ("measurements.json", "curves.json")
    ]
    edited_ones[0].write_text(edited_ones[0].read_text() + " ")
    found = find([tmp_path])
    assert [(f.level, f.headline) for f in findings(found.subjects, found.curves)] == [
        ("warn", "not settled: rests on edited numbers")
    ]


def test_an_original_and_a_gold_are_no_unlearned_models(runs):
    assert {n: facts_of(runs / "judged" / n)["kind"] for n in ("full", "gold", "ascent")} == {
        "full": "original",
        "gold": "gold",
        "ascent": "unlearned",
    }
    found = find([runs])
    assert {s.label: s.kind for s in found.subjects} == {
        "full": "original",
        "gold": "gold",
        "ascent": "unlearned",
    }
    page = write_report([runs], runs / "r.html").read_text()
    assert "Of 1 unlearned model:" in page


def test_an_old_run_that_calls_the_original_unlearned_is_corrected(runs):
    run = runs / "judged" / "full"
    facts = {k: v for k, v in facts_of(run).items() if k != "made_by"} | {"kind": "unlearned"}
    write_facts(run, facts)
    seal_all(run)
    assert {s.label: s.kind for s in find([runs]).subjects}["full"] == "original"


def test_the_report_says_what_did_nothing(desk, expunge):
    out = desk.place / "runs"
    expunge(*desk.unlearn("grad_diff", out / "idle", "--lr", 0))
    expunge(
        "eval",
        "--model",
        out / "idle",
        *desk.data(),
        "--metrics",
        "probability",
        "--out",
        out / "idle-eval",
        "--quiet",
    )
    page = write_report([out], desk.place / "r.html").read_text()
    assert "idle: this run did nothing: no weight changed, and the loss on 6 rows is" in page
    assert "idle-eval: the run that made it did nothing: no weight changed" in page


def test_weights_put_in_another_run_s_folder_are_not_taken_for_what_it_made(runs, expunge, caplog):
    shutil.rmtree(runs / "gold" / "model")
    shutil.copytree(runs / "full" / "model", runs / "gold" / "model")
    words = (
        "--forget",
        runs / "forget.jsonl",
        "--metrics",
        "probability",
        "--out",
        runs / "again",
        "--quiet",
    )
    code, _, _ = expunge("eval", "--model", runs / "gold", *words)
    assert code == 0 and "the weights are not those that the run in its folder made" in caplog.text
    assert facts_of(runs / "again")["kind"] == "unlearned" and "made_by" not in facts_of(
        runs / "again"
    )


def test_an_edit_is_named_on_standard_error_too(runs, caplog):
    """Before: only the page said so."""
    change_json(runs / "judged" / "ascent" / "measurements.json", lower)
    write_report([runs], runs / "r.html")
    assert (
        "ascent (ascent): edited: not trusted: measurements.json was edited after the run"
        in caplog.text
    )


def test_an_evaluation_of_weights_that_were_made_anew_since_is_told(runs):
    """Before: the old numbers stood beside the new run in silence."""
    maker, run = runs / "ascent", runs / "judged" / "ascent"
    facts = facts_of(run)
    write_facts(run, facts | {"model": facts["model"] | {"source": str(maker / "model")}})
    seal_all(run)
    told = "ascent (ascent) was measured on other weights than its model has now"
    assert told not in write_report([runs], runs / "r.html").read_text()
    write_facts(maker, facts_of(maker) | {"result": {"digest": "f" * 64}})
    seal_all(maker)
    assert told in write_report([runs], runs / "r.html").read_text()


def test_nothing_is_good_beside_a_gold_in_doubt(tmp_path):
    """Before: what eval had found of a gold stood among the facts, and the model was like gold all
    the same.
    """
    demo(tmp_path, {k: STORY[k] for k in ("original", "gold", "rmu")})
    run = next(
        p.parent
        for p in tmp_path.rglob("measurements.json")
        if "rmu" in str(p.parent) and "attacks" not in str(p)
    )
    write_facts(run, facts_of(run) | {"gold_doubts": ["gold: these rows can be guessed"]})
    seal_all(run)
    found = find([tmp_path])
    assert [(f.level, f.headline) for f in findings(found.subjects, found.curves)] == [
        ("warn", "not settled: its gold is in doubt")
    ]
    assert (
        "rmu: gold: these rows can be guessed."
        in write_report([tmp_path], tmp_path / "r.html").read_text()
    )
