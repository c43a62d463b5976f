"""A gold is checked before it is believed: not the judged model, not one that saw the forget rows, and two of one digest are one."""

import shutil

import numpy as np
import pytest

from expunge.core.data import Case, Example
from expunge.core.errors import Refused
from expunge.core.results import Record, Records
from expunge.data.cases import digest
from expunge.evaluation.gold_checks import checked, distinct, history, knows, shown_clean
from expunge.runs.folder import open_run, read_run, write_yaml


def rows(p, role="forget"):
    return Records([Record("m", role, str(i), str(i), "answer", 2, logp=np.log([x, x])) for i, x in enumerate(p)])


def made(place, **facts):
    (place / "model").mkdir(parents=True)
    write_yaml(place / "run.yaml", {"verb": "train", "status": "finished", **facts})
    return place


@pytest.mark.parametrize("on", ["full", "forget"])
def test_a_gold_that_was_trained_on_forget_rows_is_refused(tmp_path, on):
    saw = made(tmp_path / "a", on=on)
    for named in (saw, saw / "model"):
        with pytest.raises(Refused, match=f"train --on {on}: it saw the forget rows"):
            history(str(named))
    later = made(tmp_path / "b", on="retain", model={"source": str(saw), "digest": "d"})
    with pytest.raises(Refused, match="saw the forget rows"):  # it began with a model that saw them
        history(str(later))
    assert history(str(made(tmp_path / "c", on="retain", model={"source": "org/base", "digest": "d"}))) == "trained on retain"
    assert history(str(tmp_path)) == ""


def test_what_unlearning_made_is_no_gold(tmp_path):
    with pytest.raises(Refused, match="made by unlearning"):
        history(str(made(tmp_path / "npo", verb="unlearn")))


def test_the_same_weights():
    seen = {"unlearned": "a", "gold": "b", "original": "c", "shadow/0": "d"}
    with pytest.raises(Refused, match="the very weights of the judged model"):
        distinct("gold/1", "a", seen)
    with pytest.raises(Refused, match="the very weights of the original"):
        distinct("gold/1", "c", seen)
    with pytest.raises(Refused, match="the very weights of --original"):
        distinct("original", "b", {"unlearned": "a", "gold": "b"})
    assert distinct("gold/1", "b", seen) == "gold" and distinct("gold/1", "e", seen) == ""  # two of one digest are one gold
    assert distinct("shadow/1", "d", seen) == "shadow/0" and distinct("shadow/1", "a", seen) == "unlearned"
    assert distinct("original", "a", {"unlearned": "a"}) == ""  # the original may be judged beside itself


def test_a_gold_that_knows_the_rows_is_refused():
    original, forgot = rows([0.95] * 8), rows([0.1, 0.2] * 4)
    for saw in ([0.93] * 8, [0.93] * 5 + [0.1] * 3):
        with pytest.raises(Refused, match=r"knows \d of 8 forget rows \(as well as the original"):
            knows("gold", rows(saw), forgot, original)
    with pytest.raises(Refused, match="without --original"):
        knows("gold", rows([0.93] * 8), forgot, None)
    assert "knows 1 of 8" in knows("gold", rows([0.93] + [0.3] * 7), forgot, original)
    assert "without --original nothing less can be noticed" in knows("gold", rows([0.6] * 8), forgot, None)
    assert "could not be checked (the original knows 0 of 8 itself)" in knows("gold", rows([0.4] * 8), forgot, rows([0.4] * 8))


def test_the_same_model_saved_otherwise_is_noticed_by_what_it_says():
    with pytest.raises(Refused, match="exactly what the judged model says"):
        knows("gold", rows([0.1, 0.2, 0.3]), rows([0.1, 0.2, 0.3]), None)


def test_a_line_says_what_was_checked_and_what_could_not_be(tmp_path):
    found = {"unlearned": rows([0.1, 0.2]), "gold": rows([0.2, 0.3])}
    (line,) = checked({"unlearned": "x", "gold": str(tmp_path)}, found)
    assert line.startswith("gold: other weights than the judged model; no run.yaml says what it was trained on; it knows 0 of 2")
    bare = Records([Record("gold", "forget", "1", "1", "answer")])
    (line,) = checked({"unlearned": "x", "gold": str(tmp_path)}, {"unlearned": bare, "gold": bare})
    assert "could not be checked" in line


def test_a_record_of_other_weights_is_said_and_not_believed(tmp_path):
    saw = made(tmp_path / "a", on="full", result={"digest": "d"})
    with pytest.raises(Refused, match="saw the forget rows"):
        history(str(saw), digest="d")
    assert "is not believed (it is of other weights)" in history(str(saw), digest="e")


def test_an_honest_gold_on_rows_that_can_be_guessed_is_accepted_by_its_record(tmp_path):
    retain, forget = (Example("r/1", "retain", "1", "a", prompt="q"),), (Example("f/1", "forget", "1", "b", prompt="p"),)
    case = Case({"forget": forget, "retain": retain}, {})
    place = tmp_path / "gold"
    (place / "private").mkdir(parents=True)
    (place / "private" / "salt").write_text("5" * 32)
    with open_run(tmp_path / "run", verb="train", request={}) as run:
        shutil.copytree(place / "private", run.path / "private")
        data = {"train": {"digest": digest(retain, "5" * 32)[:16]}}
        run.finish(on="retain", data=data, result={"digest": "d"})
    gold = str(run.path)
    assert shown_clean(gold, "d", case) == "its record shows that it was trained on the 1 retain rows given here"
    assert shown_clean(gold, "e", case) == ""  # of other weights
    assert shown_clean(gold, "d", Case({"retain": forget}, {})) == ""  # other rows than it was trained on
    both = Case({"forget": retain, "retain": retain}, {})
    assert shown_clean(gold, "d", both).endswith("1 of them also forget rows")
    found = {"unlearned": rows([0.1, 0.2] * 4), "gold": rows([0.94] * 8), "original": rows([0.95] * 8)}
    sources = {"unlearned": "x", "gold": gold}
    (line,) = checked(sources, found, {"gold": "d"}, case)
    assert "it knows 8 of 8 forget rows" in line and "gold 0.940, original 0.950" in line and "can be guessed" in line
    with pytest.raises(Refused, match="or its whole run folder"):
        checked(sources, found, {"gold": "d"}, Case({"retain": forget}, {}))
    facts = read_run(run.path)
    write_yaml(run.path / "run.yaml", facts | {"seed": 3})
    assert shown_clean(gold, "d", case) == "" and "not believed (run.yaml was edited" in history(gold, digest="d")
