# ruff: noqa: F401, F811 (fixtures are imported by name)
"""Numbers that are edited after a run show, and are never good; originals and golds are no unlearned models."""

import json
import shutil

import pytest
import yaml
from commands import Desk, copied, desk, expunge, model, once
from test_report import STORY, demo, seal_all

from expunge.engine.seal import UNSEALED, broken, edited, sealed
from expunge.report.findings import findings
from expunge.report.folders import find
from expunge.report.html import write_report


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
    """A folder with runs: full and gold trained, ascent unlearned, each judged as a user would, without --kind."""

    def make(place):
        from expunge.cli import main

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
            words = ["eval", "--model", place / name, *beside, *rows.data("forget", "retain", "holdout")]
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
        ("measurements.json", lambda f: change_json(f, lower), "measurements.json was edited after the run"),
        ("comparison.json", lambda f: change_json(f, equal), "comparison.json was edited after the run"),
        ("records/part-0.parquet", lambda f: f.write_bytes(f.read_bytes() + b" "), "records/part-0.parquet was edited after the run"),
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


def test_another_model_s_digest_in_run_yaml_is_seen(runs):
    run = runs / "judged" / "ascent"
    facts = facts_of(run)
    facts["model"]["digest"] = facts["gold"]["digest"]
    assert broken(run, facts) == "what run.yaml says of the models was edited"
    assert broken(run, facts_of(run) | {"kind": "gold"}) == "what run.yaml says of the models was edited"
    assert broken(run, facts_of(run) | {"label": "a prettier name"}) == ""


def test_a_chain_made_anew_without_the_secret_is_seen_where_the_secret_is(runs):
    run = runs / "judged" / "ascent"
    change_json(run / "measurements.json", lower)
    facts = facts_of(run)
    forged = facts | {"seal": {**facts["seal"], "links": sealed(run, facts)["links"]}}
    assert broken(run, forged) == "its digests were made anew after the run"
    bare = facts | {"seal": {"links": sealed(run, facts)["links"]}}
    assert broken(run, bare) == "the keyed end of its digests was removed after the run"
    shutil.rmtree(run / "private")  # evidence, not a signature: elsewhere nobody can tell
    assert broken(run, forged) == ""


def test_a_removed_seal_is_no_way_to_green(tmp_path):
    demo(tmp_path, {k: STORY[k] for k in ("original", "gold", "rmu")})
    good = find([tmp_path])
    assert [f.level for f in findings(good.subjects, good.curves)] == ["good"]
    run = next(p.parent for p in tmp_path.rglob("measurements.json") if "rmu" in str(p.parent) and "attacks" not in str(p))
    write_facts(run, {k: v for k, v in facts_of(run).items() if k != "seal"})
    assert broken(run, facts_of(run)) == UNSEALED
    bare = find([tmp_path])
    told = findings(bare.subjects, bare.curves)
    assert [(f.level, f.headline) for f in told] == [("warn", "not settled: its numbers cannot be checked")]
    assert "Numbers that cannot be checked" in write_report([tmp_path], tmp_path / "r.html").read_text()


@pytest.mark.parametrize("whose", ["gold", "attacks"])
def test_nothing_is_good_beside_an_edited_yardstick(tmp_path, whose):
    demo(tmp_path, {k: STORY[k] for k in ("original", "gold", "rmu")})
    edited_ones = [p for p in tmp_path.rglob("*.json") if whose in str(p.parent) and p.name in ("measurements.json", "curves.json")]
    edited_ones[0].write_text(edited_ones[0].read_text() + " ")
    found = find([tmp_path])
    assert [(f.level, f.headline) for f in findings(found.subjects, found.curves)] == [("warn", "not settled: rests on edited numbers")]


def test_an_original_and_a_gold_are_no_unlearned_models(runs):
    assert {n: facts_of(runs / "judged" / n)["kind"] for n in ("full", "gold", "ascent")} == {
        "full": "original",
        "gold": "gold",
        "ascent": "unlearned",
    }
    found = find([runs])
    assert {s.label: s.kind for s in found.subjects} == {"full": "original", "gold": "gold", "ascent": "unlearned"}
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
    expunge("eval", "--model", out / "idle", *desk.data(), "--metrics", "probability", "--out", out / "idle-eval", "--quiet")
    page = write_report([out], desk.place / "r.html").read_text()
    assert "idle: this run did nothing: no weight changed, and the loss on 6 rows is" in page
    assert "idle-eval: the run that made it did nothing: no weight changed" in page


def test_weights_put_in_another_run_s_folder_are_not_taken_for_what_it_made(runs, expunge, caplog):
    shutil.rmtree(runs / "gold" / "model")
    shutil.copytree(runs / "full" / "model", runs / "gold" / "model")
    words = ("--forget", runs / "forget.jsonl", "--metrics", "probability", "--out", runs / "again", "--quiet")
    code, _, _ = expunge("eval", "--model", runs / "gold", *words)
    assert code == 0 and "the weights are not those that the run in its folder made" in caplog.text
    assert facts_of(runs / "again")["kind"] == "unlearned" and "made_by" not in facts_of(runs / "again")
