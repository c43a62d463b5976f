"""Folders and files that are not ours are never replaced or deleted: report, bench and demo."""

import pytest

from expunge.core.errors import Refused
from expunge.core.files import write_json, write_text
from expunge.core.requests import BenchRequest, DemoRequest
from expunge.experiments import demo as telling
from expunge.experiments.sweep.plan import entry_of, plan_of
from expunge.report.html import write_report
from expunge.runs.folder import open_run
from expunge.runs.workplace import workplace


@pytest.fixture
def judged(tmp_path):
    """A finished run with one number."""
    with open_run(tmp_path / "judged", verb="eval", request={}) as run:
        one = {"value": 0.5, "n": 3, "groups": 3}
        write_json(run.path / "measurements.json", {"schema": 1, "forget/probability": one})
        run.finish()
    return tmp_path / "judged"


@pytest.mark.parametrize("what", ["weights", "page", "link", "folder"])
def test_a_report_replaces_reports_alone(judged, tmp_path, what):
    """Before: weights, a run.yaml and every page of the user's were replaced without a word."""
    out = tmp_path / "there.html"
    theirs = "<!doctype html><title>mine</title>" if what == "page" else "weights"
    if what == "folder":
        out.mkdir()
    elif what == "link":
        (tmp_path / "victim").write_text(theirs)
        out.symlink_to(tmp_path / "victim")
    else:
        out.write_text(theirs)
    with pytest.raises(Refused, match=r"no report made by expunge|is a folder"):
        write_report([judged], out)
    assert out.is_dir() or out.read_text() == theirs


def test_a_report_replaces_its_own_and_an_empty_file(judged, tmp_path):
    out = tmp_path / "report.html"
    out.touch()
    write_report([judged], out)
    first = out.read_bytes()
    write_report([judged], out)
    assert out.read_bytes() == first and b"expunge audit" not in first


@pytest.mark.parametrize(
    "kind, theirs",
    [("bench", "models/precious"), ("demo", "original/mine"), ("bench", "plan.yaml")],
)
def test_names_alone_make_no_folder_ours(tmp_path, kind, theirs):
    """Before: a plan.yaml made any folder a bench, and one called original any folder a demo;
    --overwrite deleted them.
    """
    write_text(tmp_path / "mine" / theirs, "years")
    for overwrite in (False, True):
        with (
            pytest.raises(Refused, match=f"not made by expunge {kind}"),
            workplace(tmp_path / "mine", kind, clears=("models", "original"), overwrite=overwrite),
        ):
            pass
    assert (tmp_path / "mine" / theirs).read_text() == "years"
    assert {p.name for p in (tmp_path / "mine").iterdir()} == {theirs.split("/")[0]}


def test_overwriting_removes_what_was_made_and_leaves_the_rest(tmp_path):
    out = tmp_path / "ours"
    with workplace(out, "demo", clears=("original",)):
        write_text(out / "original" / "run.yaml", "a: 1")
    write_text(out / "thesis.tex", "years")
    with workplace(out, "demo", clears=("original",)):
        assert (out / "original" / "run.yaml").exists()
        with (
            pytest.raises(Refused, match="another demo works"),
            workplace(out, "demo", clears=("original",), overwrite=True),
        ):
            pass
        assert (out / "original").exists()
    with workplace(out, "demo", clears=("original",), overwrite=True):
        assert not (out / "original").exists() and (out / "thesis.tex").exists()
    with pytest.raises(Refused, match="not made by expunge bench"), workplace(out, "bench"):
        pass


def test_a_demo_takes_no_model_of_the_users(tmp_path):
    """Before: runs/original of another training was told as the demo's own."""
    write_text(
        tmp_path / "runs" / "original" / "run.yaml", "request: {seed: 0}\nstatus: finished\n"
    )
    with pytest.raises(Refused, match="not made by expunge demo"):
        telling.demo(DemoRequest(out=str(tmp_path / "runs"), overwrite=True, quiet=True))
    assert (tmp_path / "runs" / "original" / "run.yaml").exists()


@pytest.mark.parametrize("label", ["original", "gold"])
def test_no_method_is_called_like_what_it_is_held_against(tmp_path, label):
    """Before: KeyError, when the cells of the method and of the original were the same folder."""
    (tmp_path / "plan.yaml").write_text(f"methods: [{{name: npo, label: {label}}}]\nseeds: [0]\n")
    assert entry_of({"name": "npo", "label": label}).label == label
    with pytest.raises(Refused, match=f"a method is called {label}"):
        plan_of(BenchRequest(plan=str(tmp_path / "plan.yaml"), out=str(tmp_path / "out")))
