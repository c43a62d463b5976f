"""A gold is checked before it is believed: not the judged model, not one that saw the forget rows,
and two of one digest are one.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from expunge.core.data import Case, Example
from expunge.core.errors import Refused
from expunge.core.results import Record, Records
from expunge.data.cases import digest
from expunge.evaluation.gold_checks import Shown, checked, distinct, history, knows, shown_clean
from expunge.models.causal_lm.load import digest_folder
from expunge.pipeline.evaluate import check_record
from expunge.runs.folder import open_run, read_run, write_yaml


def rows(p, role="forget"):
    return Records(
        [
            Record("m", role, str(i), str(i), "answer", 2, logp=np.log([x, x]))
            for i, x in enumerate(p)
        ]
    )


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
    assert (
        history(str(made(tmp_path / "c", on="retain", model={"source": "org/base", "digest": "d"})))
        == "trained on retain"
    )
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
    # two of one digest are one gold
    assert distinct("gold/1", "b", seen) == "gold" and distinct("gold/1", "e", seen) == ""
    assert (
        distinct("shadow/1", "d", seen) == "shadow/0"
        and distinct("shadow/1", "a", seen) == "unlearned"
    )
    # the original may be judged beside itself
    assert distinct("original", "a", {"unlearned": "a"}) == ""


def test_a_gold_that_knows_the_rows_is_refused():
    original, forgot = rows([0.95] * 8), rows([0.1, 0.2] * 4)
    for saw in ([0.93] * 8, [0.93] * 5 + [0.1] * 3):
        with pytest.raises(Refused, match=r"knows \d of 8 forget rows \(as well as the original"):
            knows("gold", rows(saw), forgot, original)
    with pytest.raises(Refused, match="without --original"):
        knows("gold", rows([0.93] * 8), forgot, None)
    assert "knows 1 of 8" in knows("gold", rows([0.93] + [0.3] * 7), forgot, original).line
    assert (
        "without --original nothing less can be noticed"
        in knows("gold", rows([0.6] * 8), forgot, None).line
    )
    unknown = knows("gold", rows([0.4] * 8), forgot, rows([0.4] * 8))
    assert (
        "could not be checked (the original knows 0 of 8 itself)" in unknown.line
        and not unknown.doubt
    )


def test_the_same_model_saved_otherwise_is_noticed_by_what_it_says():
    with pytest.raises(Refused, match="exactly what the judged model says"):
        knows("gold", rows([0.1, 0.2, 0.3]), rows([0.1, 0.2, 0.3]), None)
    rounded = knows("gold", rows([0.1, 0.2, 0.30001]), rows([0.1, 0.2, 0.3]), None)
    assert (
        "within 1e-05 of the judged model's: it may be the same model" in rounded.doubt
        and rounded.doubt in rounded.line
    )
    assert not knows("gold", rows([0.1, 0.2, 0.32]), rows([0.1, 0.2, 0.3]), None).doubt


def test_a_line_says_what_was_checked_and_what_could_not_be(tmp_path):
    found = {"unlearned": rows([0.1, 0.2]), "gold": rows([0.2, 0.3])}
    gold = checked({"unlearned": "x", "gold": str(tmp_path)}, found)["gold"]
    assert gold.line.startswith(
        "gold: other weights than the judged model; no run.yaml says what it was trained on; it "
        "knows 0 of 2"
    )
    assert not gold.doubt
    bare = Records([Record("gold", "forget", "1", "1", "answer")])
    gold = checked({"unlearned": "x", "gold": str(tmp_path)}, {"unlearned": bare, "gold": bare})[
        "gold"
    ]
    assert "could not be checked" in gold.line


def test_a_record_of_other_weights_is_said_and_not_believed(tmp_path):
    saw = made(tmp_path / "a", on="full", result={"digest": "d"})
    with pytest.raises(Refused, match="saw the forget rows"):
        history(str(saw), digest="d")
    assert "is not believed (it is of other weights)" in history(str(saw), digest="e")


SALT = "5" * 32
RETAIN = (Example("r/1", "retain", "1", "a", prompt="q"),)
FORGET = (Example("f/1", "forget", "1", "b", prompt="p"),)
CASE = Case({"forget": FORGET, "retain": RETAIN}, {})
KNOWN = {"unlearned": rows([0.1, 0.2] * 4), "gold": rows([0.94] * 8), "original": rows([0.95] * 8)}


def trained(place, on, given, made="d", **facts):
    """A whole run folder of train --on, sealed, with its secret."""
    with open_run(place, verb="train", request={}) as run:
        (run.path / "private").mkdir(exist_ok=True)
        (run.path / "private" / "salt").write_text(SALT)
        data = {"train": {"digest": digest(given, SALT)[:16]}}
        run.finish(on=on, data=data, result={"digest": made}, **facts)
    return str(run.path)


def edit(gold, **facts):
    write_yaml(Path(gold) / "run.yaml", read_run(gold) | facts)


def test_an_honest_gold_on_rows_that_can_be_guessed_is_accepted_by_its_record(tmp_path):
    gold = trained(tmp_path / "run", "retain", RETAIN)
    assert (
        shown_clean(gold, "d", CASE).clean
        == "its record shows that it was trained on the 1 retain rows given here"
    )
    assert shown_clean(gold, "e", CASE) == Shown(lacks="its record is of other weights")
    others = Shown(lacks="it was trained on other rows than the retain rows given here")
    assert shown_clean(gold, "d", Case({"retain": FORGET}, {})) == others
    both = Case({"forget": (*RETAIN, *FORGET), "retain": RETAIN}, {})
    assert shown_clean(gold, "d", both).clean.endswith("1 of them also forget rows")
    sources = {"unlearned": "x", "gold": gold}
    accepted = checked(sources, KNOWN, {"gold": "d"}, CASE)["gold"]
    assert (
        "it knows 8 of 8 forget rows" in accepted.line
        and "gold 0.940, original 0.950" in accepted.line
    )
    assert (
        "can be guessed" in accepted.line and "being like gold says little here" in accepted.doubt
    )
    with pytest.raises(Refused, match="or its whole run folder"):
        checked(sources, KNOWN, {"gold": "d"}, Case({"retain": FORGET}, {}))
    edit(gold, seed=3)
    assert shown_clean(gold, "d", CASE).lacks == "run.yaml was edited after the run"
    assert "not believed (run.yaml was edited" in history(gold, digest="d")
    with pytest.raises(Refused, match=r"does not show which \(run.yaml was edited after the run\)"):
        checked(sources, KNOWN, {"gold": "d"}, CASE)


def test_a_gold_without_proof_is_told_what_is_missing(tmp_path):
    gold = trained(tmp_path / "run", "retain", RETAIN)
    assert (
        shown_clean(gold, "d", Case({"forget": FORGET}, {})).lacks
        == "no --retain rows were given here"
    )
    (Path(gold) / "private" / "salt").unlink()
    assert (
        "private/salt, with which its rows could be told, is not there"
        in shown_clean(gold, "d", CASE).lacks
    )
    assert shown_clean(str(tmp_path), "d", CASE).lacks == "no record lies beside it"


@pytest.mark.parametrize("given", [FORGET, (*FORGET, *RETAIN)], ids=["forget", "full"])
def test_a_gold_whose_rows_were_the_forget_rows_is_refused_whatever_it_says(tmp_path, given):
    # as --retain FILE
    saw = trained(tmp_path / "run", "retain", [replace(e, role="retain") for e in given])
    assert history(saw, digest="d") == "trained on retain"  # without the rows nothing can be told
    with pytest.raises(
        Refused, match=r"digest of its training rows, in .*: it saw the forget rows"
    ):
        history(saw, digest="d", case=CASE)
    assert history(saw, digest="e", case=CASE)  # of other weights
    lie = trained(tmp_path / "lie", "full", given)
    edit(lie, on="retain")
    with pytest.raises(Refused, match="it saw the forget rows, whatever else is said there"):
        history(lie, digest="d", case=CASE)


def test_forget_rows_among_the_retain_rows_are_no_rows_that_can_be_guessed(tmp_path):
    kept = (*RETAIN, replace(FORGET[0], role="retain", id="r/2"))
    gold = trained(tmp_path / "run", "retain", kept)
    case = Case({"forget": FORGET, "retain": kept}, {})
    assert (
        "1 of the 1 forget rows stand among the retain rows" in shown_clean(gold, "d", case).lacks
    )
    with pytest.raises(Refused, match="stand among the retain rows that it was trained on"):
        checked({"unlearned": "x", "gold": gold}, KNOWN, {"gold": "d"}, case)


def test_what_a_gold_began_with_is_part_of_its_proof(tmp_path):
    start = trained(tmp_path / "base", "full", (*FORGET, *RETAIN), made="b")
    edit(start, on="retain", data={})
    gold = trained(tmp_path / "gold", "retain", RETAIN, model={"source": start, "digest": "b"})
    assert "whose record is not believed: run.yaml was edited" in shown_clean(gold, "d", CASE).lacks
    hub = trained(tmp_path / "hub", "retain", RETAIN, model={"source": "org/base", "digest": "b"})
    accepted = checked({"unlearned": "x", "gold": hub}, KNOWN, {"gold": "d"}, CASE)["gold"]
    assert (
        "these rows can be guessed, or were known to org/base, with which it began" in accepted.line
    )


def test_a_record_of_other_weights_is_no_ground_to_refuse_before_anything_is_measured(tmp_path):
    gold = Path(trained(tmp_path / "run", "full", (*FORGET, *RETAIN)))
    (gold / "model").mkdir()
    (gold / "model" / "config.json").write_text("{}")
    check_record(str(gold), CASE)  # the weights there now are others
    edit(str(gold), result={"digest": digest_folder(gold / "model")}, seal=None)
    with pytest.raises(Refused, match="train --on full"):
        check_record(str(gold), CASE)
