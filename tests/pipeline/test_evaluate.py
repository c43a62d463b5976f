# ruff: noqa: F401, F811 (fixtures are imported by name)
"""``expunge eval`` from end to end: models beside the judged one, passes that are counted, the
peer's log, what is refused.
"""

import gzip
import json

import pytest
from commands import expunge, jsonl, refused

from expunge.evaluation.evaluate import sources_in
from expunge.interop.open_unlearning_log import read_log
from expunge.models.causal_lm import tiny
from expunge.models.causal_lm.model import Subject
from expunge.models.causal_lm.save import save

NAMES = ("Ada", "Bea", "Cyd", "Dov", "Eli", "Fay")
SIDES = {"forget": 0, "retain": 6, "holdout": 12}


def rows_of(first):
    return [
        {
            "question": f"Where does {n} the {first + i}th live?",
            "answer": f"{n} lives in Town {first + i}.",
            "author": n,
        }
        for i, n in enumerate(NAMES)
    ]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Three models of one tokenizer, one of another, and files of rows."""
    folder = tmp_path_factory.mktemp("evaluation")
    texts = [
        t for first in SIDES.values() for r in rows_of(first) for t in (r["question"], r["answer"])
    ]
    for role, first in SIDES.items():
        jsonl(folder / f"{role}.jsonl", rows_of(first))
    for seed, name in enumerate(("model", "gold", "second", "original")):
        model, tokenizer = tiny.build(texts, layers=1, width=32, ffn=64, vocab=300, seed=seed)
        save(Subject(model, tokenizer, name), folder / name)
    model, tokenizer = tiny.build(
        [*texts, "Quite other words stand here, and many more of them."] * 2,
        layers=1,
        width=32,
        ffn=64,
        vocab=330,
    )
    save(Subject(model, tokenizer, "other"), folder / "other")
    return folder


@pytest.fixture
def judged(place, expunge, tmp_path):
    def run(*words, model="model", out="out"):
        data = [w for role in SIDES for w in (f"--{role}", place / f"{role}.jsonl")]
        code, _, err = expunge(
            "eval", "--model", place / model, *data, "--out", tmp_path / out, *words
        )
        assert code == 0, err
        return json.loads((tmp_path / out / "measurements.json").read_text()), err, tmp_path / out

    return run


def test_passes_beyond_the_two_are_asked_for_and_counted(judged):
    asked = (
        "mia_grad_norm,mia_recall,mia_lowercase,mia_surp,unfinished,leak_probability,"
        "extraction_likelihood"
    )
    found, err, _ = judged("--metrics", asked)
    for key in (
        "mia_grad_norm",
        "mia_recall",
        "mia_lowercase",
        "mia_surp",
        "forget/unfinished",
        "forget/leak_probability",
    ):
        assert found[key]["value"] is not None, (key, found[key])
    assert (
        "unlearned: beyond the two passes, " in err
        and "12 gradients" in err
        and "texts drawn" in err
    )
    if found["forget/unfinished"]["value"]:
        assert "stopped only at the limit of 200 tokens" in err


def test_several_golds_and_the_original(judged, place):
    golds = f"{place / 'gold'},{place / 'second'}"
    found, err, _ = judged(
        "--metrics",
        "mia_lira,aus,privleak,mia_grad_norm",
        "--gold",
        golds,
        "--original",
        place / "original",
    )
    assert all(found[k]["value"] is not None for k in ("mia_lira", "aus", "privleak"))
    one, *_ = judged("--metrics", "mia_lira,aus,privleak", "--gold", place / "gold", out="one")
    assert (
        "at least two golds" in one["mia_lira"]["reason"] and "--original" in one["aus"]["reason"]
    )
    assert one["privleak"]["value"] == found["privleak"]["value"]  # the first gold decides
    assert "gold: beyond" not in err  # what no metric asks of gold is not done on it


def test_shadows_from_the_command_line(judged, place):
    golds, shadows = (
        f"{place / 'gold'},{place / 'second'}",
        f"{place / 'original'},{place / 'gold'}",
    )
    found, *_ = judged(
        "--metrics", "mia_lira,klom", "--gold", golds, "--shadow", shadows, "--quiet"
    )
    alone, *_ = judged("--metrics", "mia_lira,klom", "--gold", golds, "--quiet", out="alone")
    # two sides against one
    assert found["mia_lira"]["value"] not in (None, alone["mia_lira"]["value"])
    assert found["klom"]["value"] > 0 and "--shadow" in alone["klom"]["reason"]


def test_the_comparison_with_gold_is_written_and_told(expunge, place, tmp_path):
    data = [w for role in SIDES for w in (f"--{role}", place / f"{role}.jsonl")]
    words = [
        "eval",
        "--model",
        place / "model",
        *data,
        "--quiet",
        "--metrics",
        "probability,mia_loss",
    ]
    code, said, _ = expunge(*words, "--gold", place / "gold", "--out", tmp_path / "out")
    assert code == 0 and "beside gold" in said and "verdict" in said
    assert "6 holdout rows are too few for 1 %" in " ".join(said.split())
    rows = json.loads((tmp_path / "out" / "comparison.json").read_text())["rows"]
    assert set(rows) == {
        "forget/probability",
        "retain/probability",
        "holdout/probability",
        "mia_loss",
    }
    assert rows["forget/probability"]["n"] == 6 and rows["forget/probability"]["interval"]
    code, said, _ = expunge(*words, "--out", tmp_path / "alone")
    assert (
        code == 0
        and "beside gold" not in said
        and not (tmp_path / "alone" / "comparison.json").exists()
    )


def test_python_gives_what_the_command_gives(judged, place):
    from expunge.api import evaluate

    beside = {
        "gold": [place / "gold", place / "second"],
        "original": place / "original",
        "shadow": [place / "gold"],
    }
    words = (
        "--gold",
        f"{place / 'gold'},{place / 'second'}",
        "--original",
        place / "original",
        "--shadow",
        place / "gold",
    )
    metrics = (
        "probability,rouge_l_recall,mia_loss,privleak,mia_lira,klom,aus,unlearning_depth_score"
    )
    found, _, out = judged("--metrics", metrics, *words, "--quiet")
    again = evaluate(
        place / "model",
        **beside,
        **{r: place / f"{r}.jsonl" for r in SIDES},
        metrics=metrics.split(","),
    )
    assert {k: m.as_json() for k, m in again.items()} == {
        k: v for k, v in found.items() if k != "schema"
    }
    rows = json.loads((out / "comparison.json").read_text())["rows"]
    assert {k: b.difference for k, b in again.beside_gold.items()} == pytest.approx(
        {k: v["difference"] for k, v in rows.items()}
    )


def test_another_tokenizer_is_refused_by_name_before_anything_is_measured(place, refused, tmp_path):
    data = [w for role in SIDES for w in (f"--{role}", place / f"{role}.jsonl")]
    line = refused(
        "eval",
        "--model",
        place / "model",
        *data,
        "--gold",
        place / "other",
        "--out",
        tmp_path / "out",
    )
    assert f"{place / 'other'} has another tokenizer than {place / 'model'}" in line
    assert not (tmp_path / "out").exists()


def test_from_python_too(place):
    from expunge.api import evaluate
    from expunge.core.errors import Refused

    with pytest.raises(Refused, match="another tokenizer"):
        evaluate(
            place / "model",
            gold=place / "other",
            forget=place / "forget.jsonl",
            retain=place / "retain.jsonl",
        )


def test_the_peers_format(judged, place):
    found, _, out = judged("--format", "open-unlearning", "--gold", place / "gold", "--quiet")
    file = out / "private" / "CASE_EVAL.json"
    assert file.stat().st_mode & 0o777 == 0o600
    records = read_log(file)
    from expunge.pipeline.from_log import evaluate_log

    again = evaluate_log(file)
    for key in (
        "forget/probability",
        "retain/rouge_l_recall",
        "mia_min_k",
        "forget/extraction_strength",
    ):
        assert again[key].value == pytest.approx(found[key]["value"], rel=1e-9), key
    assert len(records.of("forget")) == 6
    _, _, bare = judged("--format", "open-unlearning", "--no-texts", "--quiet", out="bare")
    assert "Town" not in (bare / "private" / "CASE_EVAL.json").read_text()


def test_an_unknown_format_is_refused(place, refused, tmp_path):
    assert "format" in refused(
        "eval",
        "--model",
        place / "model",
        "--forget",
        place / "forget.jsonl",
        "--format",
        "xml",
        "--out",
        tmp_path / "x",
    )


def test_meaning_without_a_model_folder_is_refused_by_its_option(place, refused, tmp_path):
    words = [
        "eval",
        "--model",
        place / "model",
        "--forget",
        place / "forget.jsonl",
        "--metrics",
        "semantic_similarity",
        "--out",
        tmp_path / "x",
    ]
    assert "--encoder" in refused(*words, "--encoder", tmp_path)


# ------------------------------------------------------------------ logs


def a_log(path, rows):
    block = {
        "agg_value": 0.0,
        "value_by_index": {str(i): {"prob": 0.5, "avg_loss": 0.5 + i / 100} for i in rows},
    }
    path.write_text(json.dumps({"forget_Q_A_Prob": block}))
    return path


def test_rows_that_only_one_log_has_are_listed(expunge, tmp_path):
    mine, gold = a_log(tmp_path / "a.json", range(40)), a_log(tmp_path / "g.json", range(2, 45))
    code, _, err = expunge(
        "eval", "--from-log", mine, "--gold-log", gold, "--out", tmp_path / "out"
    )
    assert code == 0
    assert "forget/answer: 2 rows only in this log: 0, 1" in err
    assert "forget/answer: 5 rows only gold: 40, 41, 42, 43, 44" in err
    import yaml

    facts = yaml.safe_load((tmp_path / "out" / "run.yaml").read_text())
    assert facts["unmatched"]["forget/answer"]["only here"] == ["0", "1"]
    code, said, err = expunge(
        "eval", "--from-log", mine, "--gold-log", mine, "--out", tmp_path / "same"
    )
    assert code == 0 and "rows only" not in err and "beside gold" in said
    apart, same = (
        json.loads((tmp_path / o / "comparison.json").read_text())["rows"]["forget/probability"]
        for o in ("out", "same")
    )
    assert (apart["n"], apart["unmatched"]) == (38, 7)
    # two authors decide nothing
    assert (same["difference"], same["groups"], same["verdict"]) == (0, 2, "undecided")


def test_a_folder_whose_name_has_a_comma_is_one_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("lr=1e-3,seed=0", "lr=1e-3", "plain"):
        (tmp_path / name).mkdir()
    assert sources_in("lr=1e-3,seed=0") == ["lr=1e-3,seed=0"]
    assert sources_in("plain,lr=1e-3,seed=0,lr=1e-3,hub/name,") == [
        "plain",
        "lr=1e-3,seed=0",
        "lr=1e-3",
        "hub/name",
    ]
    assert sources_in("") == [] and sources_in("a,b") == ["a", "b"]
