"""Logs that others published give the numbers that they published."""

import csv
import gzip
import json
from dataclasses import replace
from functools import lru_cache

import pytest
from scipy.stats import ks_2samp

from expunge import registry
from expunge.core.results import Records
from expunge.interop.open_unlearning_log import read_log
from expunge.pipeline.from_log import evaluate_log

metric = lambda name: getattr(registry.load("metrics", name), name)
EPSILON = 1e-10  # what open-unlearning adds to two denominators; ours is without
PAIRS = [  # log, gold's log
    ("Llama-2-7b-chat-hf_full_forget01", "Llama-2-7b-chat-hf_retain99"),
    ("Llama-2-7b-chat-hf_full_forget10", "Llama-2-7b-chat-hf_retain90"),
    ("Llama-3.2-1B-Instruct_full_forget05", "Llama-3.2-1B-Instruct_retain95"),
    ("Llama-3.2-1B-Instruct_full_forget10", "Llama-3.2-1B-Instruct_retain90"),
]
LOGS = sorted({name for pair in PAIRS for name in pair})
SAME_NAME = ("mia_loss", "mia_zlib", "mia_min_k", "mia_min_k_plus_plus", "mia_reference")
THEIRS = {  # our key -> theirs
    "forget/probability": "forget_Q_A_Prob",
    "forget/rouge_l_recall": "forget_Q_A_ROUGE",
    "forget/exact_memorization": "exact_memorization",
    "forget/extraction_strength": "extraction_strength",
    "mia_grad_norm": "mia_gradnorm",
} | {name: name for name in SAME_NAME}


@pytest.fixture(scope="module")
def logs(shared):
    folder = shared / "data/tofu_eval_logs/open_unlearning"
    return lambda name: folder / f"{name}.EVAL.json.gz"


@pytest.fixture(scope="module")
def peer(shared):
    return lambda name: shared / f"peer/values/{name}.TOFU_EVAL.json.gz"


def aggregates(path):
    return {
        name: block.get("agg_value")
        for name, block in json.loads(gzip.decompress(path.read_bytes())).items()
    }


evaluated = lru_cache(maxsize=16)(evaluate_log)


def close(x, rel=1e-6):
    return pytest.approx(x, rel=rel, abs=0)


# ----------------------------------------------------------------- open-unlearning's published logs


@pytest.mark.parametrize(("name", "gold"), PAIRS)
def test_published_forget_quality_utility_and_privleak(name, gold, logs):
    found, published = evaluated(logs(name), logs(gold)), aggregates(logs(name))
    for key in ("forget_quality", "model_utility", "privleak"):
        assert found[key].value == close(published[key]), key
        if found[key].interval is None:  # complete separation of two groups: nothing varies
            assert found[key].warning == "too few groups"
        else:
            assert found[key].interval[0] <= found[key].value <= found[key].interval[1]
    assert found["forget/truth_ratio"].value == close(published["forget_truth_ratio"])
    assert found["forget_quality"].n == {"01": 40, "05": 200, "10": 400}[name[-2:]]
    assert found["forget_quality"].groups == found["forget_quality"].n // 20


@pytest.mark.parametrize("name", LOGS)
def test_every_published_aggregate_of_a_summary(name, logs, shared):
    summary = json.loads(
        (shared / f"data/tofu_eval_logs/open_unlearning/{name}.SUMMARY.json").read_text()
    )
    found = evaluated(logs(name))
    compared = [
        theirs
        for ours, theirs in THEIRS.items()
        if theirs in summary and found[ours].value == close(summary[theirs])
    ]
    missing = set(summary) - set(compared) - {"model_utility", "forget_quality", "privleak"}
    assert not missing
    assert found["model_utility"].value == close(summary["model_utility"])


@pytest.mark.parametrize("name", LOGS)
def test_the_parts_of_the_utility(name, logs):
    found, published = evaluated(logs(name)), aggregates(logs(name))
    assert found["retain/probability"].value == close(published["retain_Q_A_Prob"])
    assert found["retain/truth_ratio"].value == close(published["retain_Truth_Ratio"])
    for short, role in (("ra", "real_authors"), ("wf", "world_facts")):
        # ours is without the epsilon, theirs with it: both are pinned
        assert found[f"{role}/choice_probability"].value == close(
            published[f"{short}_Q_A_Prob_normalised"], rel=5e-6
        )
        assert found[f"{role}/truth_ratio"].value == close(
            published[f"{short}_Truth_Ratio"], rel=5e-6
        )
        for ours, theirs in (
            ("choice_probability", "Q_A_Prob_normalised"),
            ("truth_ratio", "Truth_Ratio"),
        ):
            parity = metric(ours)(read_log(logs(name)), role, epsilon=EPSILON)
            assert parity.value == close(published[f"{short}_{theirs}"], rel=2e-7), theirs
        assert found[f"{role}/rouge_l_recall"].value == close(published[f"{short}_Q_A_ROUGE"])


def test_what_the_epsilon_changes(logs):
    """World facts of the 1B model: losses up to 20 nats, so the two definitions part in the sixth
    digit.
    """
    records = read_log(logs("Llama-3.2-1B-Instruct_full_forget10"))
    assert metric("truth_ratio")(records, "world_facts").value == close(0.6201044620528566, 1e-12)
    assert metric("truth_ratio")(records, "world_facts", epsilon=EPSILON).value == close(
        0.6201053693945934, 1e-7
    )
    assert metric("model_utility")(records).value == close(0.5991534587258206, 1e-12)
    assert metric("model_utility")(records, epsilon=EPSILON).value == close(
        0.5991534707368931, 1e-8
    )


def test_golds_own_privleak_is_unscored_and_the_published_form_is_named(logs):
    for name in ("Llama-2-7b-chat-hf_retain90", "Llama-3.2-1B-Instruct_retain95"):
        assert "--gold" in evaluated(logs(name))["privleak"].reason
        stand_in = metric("privleak")(read_log(logs(name)), gold_auc=0.5)
        assert stand_in.value == close(aggregates(logs(name))["privleak"])


def test_logs_are_read_by_author_and_their_texts_stay_with_the_row(logs):
    records = read_log(logs("Llama-3.2-1B-Instruct_full_forget10"))
    forget = records.of("forget")
    assert [r.group for r in forget] == [str(i // 20) for i in range(400)]
    assert [r.group for r in records.of("real_authors")] == [str(i) for i in range(100)]
    assert forget[0].answer == "The author's full name is Hsiao Yun-Hwa."
    assert forget[0].given["mia_loss"] == -forget[0].mean_loss == -0.05043640360236168
    assert [
        len(records.variants(role, "perturbed/")["0"])
        for role in ("forget", "retain", "real_authors")
    ] == [5, 5, 3]
    assert records.subjects() == ["unlearned"]


MUSE_THEIRS = {
    "forget_knowmem/rouge_l_f1": "forget_knowmem_ROUGE",
    "retain_knowmem/rouge_l_f1": "retain_knowmem_ROUGE",
    "forget_verbmem/rouge_l_f1": "forget_verbmem_ROUGE",
    "forget_verbmem/extraction_strength": "extraction_strength",
    "forget_verbmem/exact_memorization": "exact_memorization",
    "mia_grad_norm": "mia_gradnorm",
} | {name: name for name in SAME_NAME}


@pytest.mark.parametrize("name", ["News_target", "News_retrain"])
def test_every_published_aggregate_of_a_muse_log(name, shared):
    """KnowMem and VerbMem as well; what is extracted is of the passages of VerbMem, not of those
    whose membership is asked.
    """
    folder = shared / "data/muse_eval_logs"
    found, summary = (
        evaluated(folder / f"{name}.EVAL.json.gz"),
        json.loads((folder / f"{name}.SUMMARY.json").read_text()),
    )
    for ours, theirs in MUSE_THEIRS.items():
        assert theirs not in summary or found[ours].value == close(summary[theirs]), ours
    assert (
        set(summary) <= {*MUSE_THEIRS.values(), "privleak"}
        and "forget/extraction_strength" not in found
    )
    assert (
        found["forget_knowmem/rouge_l_f1"].n
        == found["forget_verbmem/extraction_strength"].groups
        == 100
    )
    records = read_log(folder / f"{name}.EVAL.json.gz")
    assert records.of("forget_knowmem")[0].answer == "1472" and records.of("forget_knowmem")[
        0
    ].generated in ("1472", "1996")


def test_muse_logs_held_against_each_other_and_against_themselves(shared):
    """Published: target against gold -99.81, gold against open-unlearning's stand-in of .5 -4.72.

    Gold against itself is 0.
    """
    target, gold = (
        shared / f"data/muse_eval_logs/News_{name}.EVAL.json.gz" for name in ("target", "retrain")
    )
    assert evaluated(gold, gold)["privleak"].value == 0
    judged = metric("privleak")
    with_both = judged(read_log(gold), read_log(gold, "gold"), gold_auc=0.4772)
    # a gold model that is given goes before a published number
    assert with_both.value == 0 and not with_both.parts
    alone = judged(read_log(gold), gold_auc=0.5)
    assert alone.value == close(-4.7199999990560135) and alone.parts == {
        "published AUC of gold": 0.5
    }
    assert judged(read_log(target), read_log(gold, "gold"), gold_auc=0.4772).value == close(
        -99.81108310247458
    )


def test_muse_logs_give_their_published_privleak(shared):
    folder = shared / "data/muse_eval_logs"
    found = evaluated(folder / "News_target.EVAL.json.gz", folder / "News_retrain.EVAL.json.gz")
    assert found["privleak"].value == close(-99.81108310247458)
    assert found["mia_zlib"].value == close(0.9998)
    assert found["privleak"].groups == 200  # passages, not authors
    assert "retain" in found["model_utility"].reason


# ----------------------------------------------------------------- the peer on the small checkpoint


def test_peer_values_of_the_small_checkpoint(peer):
    found, published = evaluated(peer("full"), peer("retain")), aggregates(peer("full"))
    for ours, theirs in THEIRS.items():
        assert found[ours].value == close(published[theirs]), ours
    assert found["forget_quality"].value == close(2.4555219836184454e-54, 1e-9)
    assert found["privleak"].value == close(-100)
    assert found["forget/truth_ratio"].value == close(0.3243787627818869)


@pytest.mark.parametrize(
    ("name", "ours", "theirs"),
    [("full", 0.0402667650205, 0.0402668212316), ("retain", 0.0210552182815, 0.0210552208390)],
)
def test_utility_without_and_with_the_epsilon(name, ours, theirs, peer):
    records = read_log(peer(name))
    assert metric("model_utility")(records).value == close(ours, 1e-10)
    assert metric("model_utility")(records, epsilon=EPSILON).value == close(theirs, 1e-8)
    assert theirs == close(aggregates(peer(name))["model_utility"], 1e-10)


def test_the_log_holds_the_peers_floored_extraction_strength(peer):
    """Its retain value .0307 never falls to 0 for a row; the correct .0096 needs hit bits (see
    metrics/test_peer_checkpoint.py).
    """
    records = read_log(peer("retain"))
    assert metric("extraction_strength")(records, "forget").value == close(0.030650426581923317)
    assert min(r.given["extraction_strength"] for r in records.of("forget")) > 0
    nothing_hit = [r for r in records.of("forget") if r.given["exact_memorization"] == 0]
    assert nothing_hit  # rows without a single hit score above 0 all the same


def test_rouge_of_the_peers_texts_is_exact(peer):
    records = read_log(peer("retain"))
    score = metric("rouge_l_recall")
    unscored_texts = Records(
        replace(r, given={}) for role in ("forget", "world_facts") for r in records.of(role)
    )
    assert score(unscored_texts, "forget").value == close(0.11745331525700607, 1e-15)
    assert score(unscored_texts, "world_facts").value == close(0.009259259259259259, 1e-15)
    assert score(records, "forget", variant="paraphrase").value == close(0.09999516618023664, 1e-15)


# ------------------------------------------------------------------ the first TOFU code, and ULD


ULD = {
    "Retain ROUGE": "retain/rouge_l_recall",
    "Retain Probability": "retain/probability",
    "Retain Truth Ratio": "retain/truth_ratio",
    "Real Authors ROUGE": "real_authors/rouge_l_recall",
    "Real Authors Probability": "real_authors/choice_probability",
    "Real Authors Truth Ratio": "real_authors/truth_ratio",
    "Real World ROUGE": "world_facts/rouge_l_recall",
    "Real World Probability": "world_facts/choice_probability",
    "Real World Truth Ratio": "world_facts/truth_ratio",
    "Forget ROUGE": "forget/rouge_l_recall",
    "Forget Probability": "forget/choice_probability",  # the form among the given answers, here
    "Forget Truth Ratio": "forget/truth_ratio",
    "Model Utility": "model_utility",
}


def test_uld_csv(shared):
    legacy = shared / "data/tofu_eval_logs/legacy"
    path = legacy / "uld_llama2-7b_retain90_wd0.01.json.gz"
    text = (legacy / "uld_llama2-7b_retain90_wd0.01.published.csv").read_text()
    published = next(csv.DictReader(text.splitlines()))
    found = evaluated(path, path)
    for theirs, ours in ULD.items():
        assert found[ours].value == close(float(published[theirs]), 1e-14), theirs
    assert found["forget_quality"].value == float(published["Forget Quality"]) == 1
    # the plain mean, as the authors' script has it
    assert found["forget/probability"].value == close(0.1436, 1e-3)
    assert "--holdout" in found["privleak"].reason


@pytest.mark.parametrize(("model", "p"), [("llama2-7b", 1.83e-21), ("phi", 2.19e-16)])
def test_legacy_logs_of_300_rows(model, p, shared):
    legacy = shared / "data/tofu_eval_logs/legacy"
    full, gold = (
        legacy / f"locuslab_{model}_{name}_wd0.01.json.gz" for name in ("full", "retain90")
    )
    m = evaluated(full, gold)["forget_quality"]
    assert m.value == close(p, 0.005)
    assert (m.n, m.groups) == (300, 15)
    theirs = [
        json.loads(gzip.decompress(x.read_bytes()))["eval_log_forget.json"]["truth_ratio"]
        for x in (full, gold)
    ]
    # their ratio is the inverse of ours
    assert m.value == close(ks_2samp(*(list(t.values()) for t in theirs)).pvalue, 1e-9)
