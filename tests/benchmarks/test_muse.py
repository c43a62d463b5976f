"""MUSE: questions, passages and membership sets of news and books, and folds to forget in turn."""

import json
from dataclasses import replace

import pytest
from benchmark_rows import qa, sizes

from expunge.benchmarks.muse import FOLDS, GOLD_AUC, muse
from expunge.core.errors import Refused
from expunge.core.results import Records
from expunge.data.columns import UNENDED
from expunge.pipeline.settings import judges_of

WANTED = {"": "muse-bench/MUSE-News", "books": "muse-bench/MUSE-Books"}
LAYOUT = {
    f"muse/news/knowmem/{side}_qa": qa(4, question=lambda i, side=side: f"{side} {i}?")
    for side in ("forget", "retain")
}
EXAMPLES = "the examples before the questions of"
OPTIONAL = {
    "muse/news/knowmem/forget_qa_icl": f"{EXAMPLES} forget_knowmem",
    "muse/news/knowmem/retain_qa_icl": f"{EXAMPLES} retain_knowmem",
    "muse/news/verbmem/forget": "forget_verbmem",
    "muse/news/privleak/holdout": "holdout",
    "muse/news/raw/retain1": "retain (texts to train on)",
}
REAL = {"": "", "books": ""}


def test_muse_with_all_parts(put):
    for side in ("forget", "retain"):
        put(f"muse/news/knowmem/{side}_qa", qa(4))
        put(f"muse/news/knowmem/{side}_qa_icl", qa(2))
    put(
        "muse/news/verbmem/forget.json",
        json.dumps([{"prompt": f"It was {i}", "gt": f" then {i} more"} for i in range(5)]),
    )
    for part in ("forget", "retain", "holdout"):
        # lists of texts, as on GitHub
        put(f"muse/news/privleak/{part}.json", json.dumps([f"{part} {i}" for i in range(6)]))
    put("muse/news/raw/forget", [{"text": f"raw {i}"} for i in range(3)])
    data = put("muse/news/raw/retain1", [{"text": f"kept {i}"} for i in range(4)])
    # the first of them is the forget set
    fold = lambda i: [{"text": f"raw {j}" if i == 0 else f"raw {i}.{j}"} for j in range(3)]
    for i, name in enumerate(FOLDS):
        put(f"muse/news/scal/{name}", [row for k in range(i + 1) for row in fold(k)])
        put(f"muse/news/sust/{name}", fold(i))
    bench = muse("news", subset="scal", data=str(data))
    found = {
        "forget_knowmem": 4,
        "retain_knowmem": 4,
        "forget_verbmem": 5,
        "forget": 6,
        "retain": 6,
        "holdout": 6,
    }
    assert sizes(bench.case.evaluate) == found and sizes(bench.case.train) == {
        "full": 16,
        "forget": 3,
        "retain": 4,
    }
    assert {name: len(stage.train["forget"]) for name, stage in bench.stages.items()} == {
        f: 3 * i + 3 for i, f in enumerate(FOLDS)
    }
    one, two, three, four = (
        {e.text for e in stage.train["forget"]} for stage in bench.stages.values()
    )
    assert one < two < three < four < {e.text for e in bench.case.train["full"]}
    assert all(
        sizes(stage.evaluate) == found and stage.train["retain"] == bench.case.train["retain"]
        for stage in bench.stages.values()
    )
    assert bench.begin == "original" and muse("news", subset="sust", data=str(data)).begin == "last"
    assert sizes(muse("news", data=str(data)).case.train) == {"full": 7, "forget": 3, "retain": 4}
    # letter by letter behind the prompt
    assert bench.case.evaluate["forget_verbmem"][2].answer == " then 2 more"
    judges = {j.key: j for j in judges_of(bench, bench.case)}
    assert judges["forget_verbmem/rouge_l_f1"].arguments == {"scale": 100.0}
    assert "until" in judges["retain_knowmem/rouge_l_f1"].arguments
    assert (
        judges["privleak"].arguments == {"gold_auc": GOLD_AUC["news"]}
        and GOLD_AUC["news"] == 0.4772
    )
    # open-unlearning's
    assert {"forget_verbmem/extraction_strength", "forget_verbmem/exact_memorization"} < set(judges)
    texts = [
        e
        for role in ("forget", "retain", "holdout", "forget_verbmem")
        for e in bench.case.evaluate[role]
    ]
    texts += [
        e
        for case in (bench.case, *bench.stages.values())
        for rows in case.train.values()
        for e in rows
    ]
    assert all(UNENDED in e.tags for e in texts) and not bench.absent
    others = put("others.jsonl", [{"text": f"other {i}"} for i in range(3)]) / "others.jsonl"
    given = muse("news", data=str(data), holdout=str(others)).case.evaluate["holdout"]
    assert [e.text for e in given] == ["other 0", "other 1", "other 2"] and all(
        UNENDED in e.tags for e in given
    )
    assert bench.generate["roles"] == {
        "forget_knowmem": 32,
        "retain_knowmem": 32,
        "forget_verbmem": 128,
    }
    assert not muse("news", data=str(data)).stages


def test_muse_as_it_is_judged(put):
    """Texts are scored to their last token and no further; a gold model that is given is what
    PrivLeak is held against.
    """
    from expunge.evaluation.metric import wants_of
    from expunge.evaluation.observe import measure
    from expunge.models.causal_lm import tiny
    from expunge.models.causal_lm.model import Subject

    for side in ("forget", "retain"):
        put(f"muse/news/knowmem/{side}_qa", qa(2))
    put(
        "muse/news/verbmem/forget",
        [{"prompt": "It was the", "gt": " grey cat that sat on the mat"}],
    )
    for part in ("forget", "holdout"):
        data = put(
            f"muse/news/privleak/{part}",
            [{"text": f"the {part} cat sat on {'mat ' * (i + 1)}"} for i in range(4)],
        )
    bench = muse(data=str(data))
    model, tokenizer = tiny.build(
        [e.text or "Question: Answer: It was the grey cat" for e in bench.case.evaluate["forget"]],
        seed=0,
    )
    subject = Subject(model.eval(), tokenizer, "tiny")
    judges = judges_of(bench, bench.case)
    wants = wants_of(judges, list(bench.case.evaluate), bench.generate)
    records = measure(subject, bench.case.evaluate, wants, name="unlearned", max_length=512).records
    for e, r in zip(bench.case.evaluate["forget"], records.of("forget"), strict=True):
        assert not r.eos and r.n_tokens == len(
            tokenizer(e.text, add_special_tokens=False)["input_ids"]
        )
    (passage,) = records.of("forget_verbmem")
    assert not passage.eos and passage.n_tokens == len(
        tokenizer(" grey cat that sat on the mat", add_special_tokens=False)["input_ids"]
    )
    found = {j.key: j(records, None) for j in judges}
    assert found["forget_verbmem/extraction_strength"].value is not None
    assert (
        found["privleak"].parts == {"published AUC of gold": 0.4772}
        and found["privleak"].value != 0
    )
    gold = Records(replace(r, subject="gold") for r in records)
    beside = next(j for j in judges if j.key == "privleak")(records, gold)
    assert beside.value == 0 and not beside.parts


def test_muse_without_the_texts_says_what_is_missing(put):
    put("muse/news/knowmem/forget_qa", qa(4))
    data = put("muse/news/knowmem/retain_qa", qa(4))
    bench = muse(data=str(data))
    privleak = next(j for j in judges_of(bench, bench.case) if j.name == "privleak")
    assert privleak(Records(), None).reason == "no rows of role holdout; give --holdout"
    left_out = {
        "forget_verbmem",
        "forget",
        "retain",
        "holdout",
        "forget (texts to train on)",
        "retain (texts to train on)",
    }
    assert (
        left_out < set(bench.absent)
        and "no rows 'news/verbmem/forget' of muse" in bench.absent["forget_verbmem"]
    )
    verbatim = next(j for j in judges_of(bench, bench.case) if j.key == "forget_verbmem/rouge_l_f1")
    assert (
        verbatim(Records(), None).reason
        == "no rows of role forget_verbmem; add them to the folder of --data"
    )


def test_muse(data):
    for split, asked in (
        ("news", "What year did the Orkney Islands become part of Scotland?"),
        ("books", None),
    ):
        bench = muse(split, data=str(data))
        assert sizes(bench.case.evaluate) == {"forget_knowmem": 100, "retain_knowmem": 100}
        for role, name in (("forget_knowmem", "forget_qa"), ("retain_knowmem", "retain_qa")):
            rows = json.loads((data / f"muse/{split}/knowmem/{name}.json").read_text())
            shots = json.loads((data / f"muse/{split}/knowmem/{name}_icl.json").read_text())
            solved = "".join(f"Question: {r['question']}\nAnswer: {r['answer']}\n\n" for r in shots)
            for e, r in zip(bench.case.evaluate[role], rows, strict=True):
                assert (
                    e.prompt == f"{solved}Question: {r['question']}\nAnswer: "
                    and e.answer == r["answer"]
                )
        assert asked is None or asked in bench.case.evaluate["forget_knowmem"][0].prompt
    assert ("rouge_l_f1", "forget_verbmem") in bench.metrics and ("privleak", None) in bench.metrics
    with pytest.raises(
        Refused, match=r"folds scal of news are not all there; they are on hub:muse-bench/MUSE-News"
    ):
        muse("news", subset="scal", data=str(data))


def test_muse_published_numbers_stand_in_the_logs(shared):
    assert not muse(data=str(shared / "data")).published
    bench = muse(subset="open-unlearning", data=str(shared / "data"))
    assert (
        bench.arguments["rouge_l_f1"]["stemmer"]
        and bench.arguments["forget_verbmem/rouge_l_f1"]["stemmer"]
    )
    found = bench.published
    for what, log in (("original", "News_target"), ("gold", "News_retrain")):
        summary = json.loads((shared / f"data/muse_eval_logs/{log}.SUMMARY.json").read_text())
        ours = next(v for k, v in found.items() if what in k and "log" in k)
        for key, theirs in (
            ("forget_knowmem", "forget_knowmem_ROUGE"),
            ("forget_verbmem", "forget_verbmem_ROUGE"),
        ):
            assert ours[f"{key}/rouge_l_f1"] == pytest.approx(100 * summary[theirs], rel=1e-12)
        if what == "original":
            assert ours["privleak"] == pytest.approx(summary["privleak"], rel=1e-9)
        else:  # theirs is held against an AUC of .5, ours against gold's own
            assert "privleak" not in ours
