"""Our log in the peer's format: its reader takes it, and the numbers are those that went in."""

import json
import math
from dataclasses import replace

import pytest
from made_records import a_model

from expunge.core.card import Call
from expunge.core.results import Records
from expunge.evaluation.metric import judged
from expunge.interop.open_unlearning_log import read_log
from expunge.interop.open_unlearning_writer import peer_log
from expunge.pipeline.settings import judge

PLACES = [
    ("probability", "forget"),
    ("truth_ratio", "forget"),
    ("rouge_l_recall", "retain"),
    ("exact_memorization", "forget"),
]
PLACES += [
    ("extraction_strength", "forget"),
    ("choice_probability", "real_authors"),
    ("truth_ratio", "world_facts"),
    ("truth_ratio", "retain"),
]
WHOLE = (
    "model_utility",
    "forget_quality",
    "mia_loss",
    "mia_min_k",
    "mia_min_k_plus_plus",
    "mia_zlib",
    "mia_reference",
)
SAME = ("mia_loss", "mia_zlib", "mia_min_k", "mia_min_k_plus_plus", "mia_reference")


@pytest.fixture(scope="module")
def models():
    order = lambda records: Records(sorted(records, key=lambda r: int(r.id)))
    return order(a_model(1, knows=1.5)), order(a_model(2, knows=3.0))


@pytest.fixture
def judges():
    return [judge(Call(n), r) for n, r in PLACES] + [judge(Call(n), None) for n in WHOLE]


def test_what_is_written_is_read_back(models, judges, tmp_path):
    unlearned, gold = models
    results = judged(judges, unlearned, gold)
    for records, name in ((unlearned, "a"), (gold, "g")):
        (tmp_path / f"{name}.json").write_text(
            json.dumps(peer_log(records, judged(judges, records, gold), gold), allow_nan=False)
        )
    back = judged(judges, read_log(tmp_path / "a.json"), read_log(tmp_path / "g.json", "gold"))
    for key, m in results.items():
        assert back[key].value == pytest.approx(m.value, rel=1e-9), key
        assert m.value is not None, key


def test_aggregates_are_the_peers_names(models, judges):
    unlearned, gold = models
    results = judged(judges, unlearned, gold)
    log = peer_log(unlearned, results, gold)
    assert log["forget_Q_A_Prob"]["agg_value"] == pytest.approx(results["forget/probability"].value)
    assert log["forget_truth_ratio"]["agg_value"] == results["forget/truth_ratio"].value
    assert [log[n]["agg_value"] for n in SAME] == pytest.approx([results[n].value for n in SAME])
    first = unlearned.of("forget")[0]
    assert log["forget_Q_A_Prob"]["value_by_index"]["0"] == {
        "prob": pytest.approx(math.exp(-first.loss)),
        "avg_loss": first.loss,
    }
    # higher for strangers, there
    assert log["mia_loss"]["forget"]["value_by_index"]["0"]["score"] == first.loss
    assert log["forget_Q_A_ROUGE"]["value_by_index"]["0"]["generation"] == first.generated
    assert (
        log["mia_gradnorm"]["forget"]["value_by_index"]["0"]["score"]
        == first.observed["grad_norm"][3]
    )


def test_a_log_of_muse_is_written_under_its_names_and_read_back(models, tmp_path):
    """KnowMem and VerbMem by ROUGE-L F1; what is extracted is of the passages of VerbMem."""
    turned = {
        "forget": "forget_verbmem",
        "retain": "forget_knowmem",
        "real_authors": "retain_knowmem",
    }
    records = Records(
        replace(r, role=turned.get(r.role, r.role))
        for r in models[0]
        if r.role in (*turned, "holdout")
    )
    places = [("rouge_l_f1", role) for role in turned.values()] + [
        (m, "forget_verbmem") for m in ("extraction_strength", "exact_memorization")
    ]
    judges = [
        judge(Call(name, {"stemmer": True} if name == "rouge_l_f1" else {}), role)
        for name, role in places
    ]
    results = judged(judges, records, None)
    log = peer_log(records, results)
    assert {
        "forget_verbmem_ROUGE",
        "forget_knowmem_ROUGE",
        "retain_knowmem_ROUGE",
        "extraction_strength",
    } < set(log)
    assert log["forget_knowmem_ROUGE"]["agg_value"] == pytest.approx(
        results["forget_knowmem/rouge_l_f1"].value
    )
    (tmp_path / "muse.json").write_text(json.dumps(log, allow_nan=False))
    back = judged(judges, read_log(tmp_path / "muse.json"), None)
    for key, m in results.items():
        assert m.value is not None and back[key].value == pytest.approx(m.value, rel=1e-9), key


def test_without_texts_there_are_none(models, judges):
    log = peer_log(*[models[0]], judged(judges, *models), texts=False)
    assert "generation" not in json.dumps(log) and "rougeL_recall" in json.dumps(log)
    assert models[0].of("forget")[0].answer not in json.dumps(log)


def test_the_layout_is_that_of_a_published_log(models, judges, shared):
    """Every metric of ours has the fields that the peer's own file has, in the same types."""
    import gzip

    theirs = json.loads(
        gzip.decompress((shared / "peer/values/full.TOFU_EVAL.json.gz").read_bytes())
    )
    ours = peer_log(models[0], judged(judges, *models), models[1])

    def shape(x):
        if isinstance(x, dict):
            return {k: shape(v) for k, v in x.items() if k == "0" or not k.isdecimal()}
        return (
            "list"
            if isinstance(x, list)
            else "number"
            if isinstance(x, (int, float))
            else type(x).__name__
        )

    same = set(ours) & set(theirs)
    assert len(same) >= 20
    for name in same:
        assert shape(ours[name]) == shape(theirs[name]), name
