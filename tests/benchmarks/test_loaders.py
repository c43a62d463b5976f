"""Benchmarks whose real rows are on the hub only: rows of the hub's shape in, the case out; absent
rows are named in one line.
"""

import json
from dataclasses import replace

import datasets
import pytest
from wanted import WANTED, WHOLE

from expunge import registry
from expunge.benchmarks.elude import elude
from expunge.benchmarks.knowundo import knowundo
from expunge.benchmarks.lume import lume
from expunge.benchmarks.mmlu import mmlu
from expunge.benchmarks.muse import FOLDS, GOLD_AUC, muse
from expunge.benchmarks.ort import ort
from expunge.benchmarks.pistol import pistol
from expunge.benchmarks.r_tofu import FACTS, r_tofu
from expunge.benchmarks.rwku import rwku
from expunge.benchmarks.waterdrum import waterdrum
from expunge.benchmarks.wmdp import published, wmdp
from expunge.benchmarks.wpu import wpu
from expunge.benchmarks.yao_corpus import yao_corpus
from expunge.core.errors import NotAtHand, Refused
from expunge.core.results import Records
from expunge.data.columns import UNENDED
from expunge.data.tables import examples, table
from expunge.pipeline.settings import judges_of

LOADERS = ("elude", "ort", "waterdrum", "wpu", "yao_corpus")


def sizes(roles):
    return {role: len(rows) for role, rows in roles.items()}


def qa(n, **more):
    return [
        {"question": f"Q {i}?", "answer": f"A {i}"}
        | {k: v(i) if callable(v) else v for k, v in more.items()}
        for i in range(n)
    ]


def choices(n, **more):
    return [
        {"question": f"Q {i}?", "choices": [f"o{i}", "p", "q", "r"], "answer": i % 4} | more
        for i in range(n)
    ]


# ------------------------------------------------------------------ shapes


def test_wmdp(put):
    for domain, n in (("bio", 8), ("chem", 4), ("cyber", 6)):
        data = put(f"wmdp/wmdp-{domain}/test-00000-of-00001.parquet", choices(n))
    bench = wmdp(data=str(data))
    assert (
        sizes(bench.case.evaluate) == {"forget_bio": 8, "forget_chem": 4, "forget_cyber": 6}
        and not bench.case.train
    )
    e = bench.case.evaluate["forget_cyber"][1]
    assert (
        e.prompt
        == "The following are multiple choice questions (with answers) about cybersecurity.\n\nQ 1?"
        and e.right == 1
    )
    blind = wmdp("bio", subset="blind", data=str(data)).case.evaluate["forget_bio"][0]
    assert (
        "Q 0" not in blind.prompt
        and "Q 0" not in blind.variants["question/options"]
        and blind.options == ("o0", "p", "q", "r")
    )
    put("mmlu/test", choices(5, subject="anatomy"))
    put("wmdp/forget", [{"text": "a text"}])
    bench = wmdp("chem", data=str(data))
    # chem, and nothing beside it
    assert sizes(bench.case.evaluate) == {"forget_chem": 4} and sizes(bench.case.train) == {
        "forget": 1
    }
    assert {role for _, role in bench.metrics} == {"forget_chem"} and set(bench.absent) == {
        "retain (texts to unlearn with)"
    }
    assert sizes(wmdp("chem", subset="mmlu", data=str(data)).case.evaluate) == {
        "forget_chem": 4,
        "mmlu": 5,
    }
    assert sizes(wmdp(data=str(data)).case.evaluate)["mmlu"] == 5
    # eight questions are not the 1,520 that the published numbers are of
    assert not wmdp(data=str(data)).published
    told = {key for numbers in published("all").numbers.values() for key in numbers}
    assert told == {f"{role}/choice_accuracy" for role in ("forget_bio", "forget_cyber", "mmlu")}
    assert all(
        "forget_bio/choice_accuracy" not in numbers
        for numbers in published("cyber").numbers.values()
    )
    assert ("wmdp_accuracy", None) in wmdp(data=str(data)).metrics and (
        "wmdp_accuracy",
        None,
    ) not in bench.metrics


def test_mmlu_of_the_hub(put):
    put("mmlu/test", choices(3, subject="anatomy"))
    data = put("mmlu/dev", choices(5, subject="anatomy"))
    (e, *_) = mmlu(subset="5-shot", data=str(data)).case.evaluate["mmlu"]
    assert e.prompt.count("\nAnswer: ") == 5 and e.prompt.endswith("\n\nQ 0?")
    put("mmlu/dev", choices(4, subject="anatomy"))
    with pytest.raises(
        Refused,
        match=r"test.jsonl:1: 3 questions have no five examples of their subject; leave --subset "
        r"away",
    ):
        mmlu(subset="5-shot", data=str(data))


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
    assert {"forget_verbmem/extraction_strength", "forget_verbmem/exact_memorisation"} < set(judges)
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


def test_rwku_of_the_hub(tmp_path, monkeypatch):
    """One config holds all targets; the rows of the one that was asked for are taken."""
    probes = [
        {"subject": s, "query": f"Q {i}?", "answer": "A", "level": "1", "type": "x"}
        for s in ("Ann Lee", "Bo Ek")
        for i in range(3)
    ]
    texts = [
        {"subject": s, "text": f"text {s} {i}"} for s in ("Ann Lee", "Bo Ek") for i in range(2)
    ]

    def load(repo, config, split=None):
        assert repo == "jinzhuoran/RWKU"
        if config.startswith("utility") or config.startswith("train"):
            raise ConnectionError("offline")
        return datasets.Dataset.from_list(texts if config.startswith("mia") else probes)

    monkeypatch.setattr(datasets, "load_dataset", load)
    asked = rwku("Ann_Lee").case.evaluate
    assert sizes(asked)["forget_level1"] == 3 and "mmlu" not in asked
    # those of the target, not of all
    assert sizes(asked)["forget_texts"] == sizes(asked)["retain_texts"] == 2
    assert rwku("all").case.evaluate["forget_level2"][5].group == "Bo Ek"


def test_knowundo_of_the_hub(monkeypatch):
    """There, a split is one row that holds the lists train and val."""
    rows = lambda side, n: [
        {"text": f"Where does Ann Lee {side} {i}?", "labels": f"{side} {i}"} for i in range(n)
    ]

    def load(repo, config, split=None):
        assert (repo, config) == ("zjunlp/KnowUnDo", "copyright") and split in (
            "unlearn",
            "retention",
        )
        return datasets.Dataset.from_list(
            [{"train": rows(split + "T", 4), "val": rows(split + "V", 2)}]
        )

    monkeypatch.setattr(datasets, "load_dataset", load)
    bench = knowundo("copyright")
    assert (
        sizes(bench.case.train) == {"full": 12, "forget": 4, "retain": 4}
        and sizes(bench.case.evaluate)["forget"] == 2
    )
    assert {e.group for e in bench.case.train["full"]} == {"Ann Lee"}


def test_elude(put):
    wrong = {"paraphrased_answer": "B", "perturbed_answer": ["C", "D"]}
    entity = lambda i: ("Ann Lee", "Bo Ek")[i % 2]
    put("elude/forget_qa-train.parquet", qa(6, entity=entity, **wrong))
    for part in ("train", "validation", "test"):
        data = put(
            f"elude/retain_qa-{part}.parquet",
            [r | {"question": part + r["question"]} for r in qa(8, entity=entity, **wrong)],
        )
    bench = elude(data=str(data))
    assert sizes(bench.case.evaluate) == {"forget": 6, "retain": 8} and {
        e.group for e in bench.case.evaluate["forget"]
    } == {
        "Ann Lee",
        "Bo Ek",
    }
    one = elude("Ann_Lee", subset="validation", data=str(data)).case
    assert (
        sizes(one.evaluate) == {"forget": 3, "retain": 4}
        and len({e.group for e in one.evaluate["forget"]}) == 3
    )
    assert dict(one.evaluate["forget"][0].variants) == {
        "paraphrase": "B",
        "perturbed/0": "C",
        "perturbed/1": "D",
    }
    with pytest.raises(Refused, match="elude has no entity 'Ann Lea'; did you mean Ann Lee"):
        elude("Ann_Lea", data=str(data))


def test_r_tofu(put):
    put(
        "r_tofu/forget01",
        qa(80, cot=lambda i: f"Let me think {i}.", task_id=lambda i: str(1 + i // 40)),
    )
    put(
        "r_tofu/retain99",
        [r | {"question": "k" + r["question"]} for r in qa(60, cot=lambda i: "" if i else "Hm.")],
    )
    # not the file that the authors ask
    put("r_tofu/world_facts_perturbed_cot", qa(3, perturbed_answer=["x", "y"], cot=""))
    data = put("r_tofu/world_facts_perturbed", qa(5, perturbed_answer=["x", "y"], cot="hello"))
    put("r_tofu/real_authors_perturbed_cot", qa(4, cot=""))
    bench = r_tofu("forget01", data=str(data))
    assert sizes(bench.case.evaluate) == {
        "forget": 80,
        "retain": 60,
        "forget_thought": 80,
        "retain_thought": 60,
    } | {
        "real_authors": 4,
        "world_facts": 5,
    }
    thought = bench.case.train["forget"][3]
    assert (
        thought.answer == "<think>\nLet me think 3.\n</think>\n\nA 3"
        and bench.case.evaluate["forget"][3].answer == "A 3"
    )
    roles = bench.case.evaluate
    assert {role for role in roles if roles[role][0].tags == ("after:</think>",)} == {
        "forget",
        "retain",
        *FACTS,
    }
    # twenty rows an author, as in TOFU
    assert len({e.group for e in bench.case.train["forget"]}) == 4
    first, second = bench.stages["request_1"], bench.stages["request_2"]
    assert list(bench.stages) == ["request_1", "request_2"] and bench.begin == "last"
    assert (
        first.train["forget"] + second.train["forget"] == bench.case.train["forget"]
        and len(second.train["forget"]) == 40
    )
    # after the last request all of them are asked, after the first its own
    assert second.evaluate == bench.case.evaluate
    assert sizes(first.evaluate) == sizes(bench.case.evaluate) | {
        "forget": 40,
        "forget_thought": 40,
    }
    assert {e.id for e in first.evaluate["forget"]} == {e.id for e in first.train["forget"]}
    put("r_tofu/forget05", qa(40, cot="Hm.", task_id="1"))
    put("r_tofu/retain95", qa(20, cot="Hm."))
    assert not r_tofu("forget05", data=str(data)).stages  # one request is no stage
    put(
        "r_tofu/forget05",
        qa(40, cot=lambda i: ("<think>\nHm.\n</think>\n", " <think>Hm.", "Hm.")[i % 3]),
    )
    assert {
        e.answer.partition("A ")[0] for e in r_tofu("forget05", data=str(data)).case.train["forget"]
    } == {"<think>\nHm.\n</think>\n\n"}


def test_wpu_of_the_hub(put):
    put("wpu/forget_20_1", qa(6, title=lambda i: f"Person {i // 3}"))
    put("wpu/forget_20_1_hard_retain", qa(4, title="Town"))
    data = put("wpu/general_retain", qa(5))
    bench = wpu("forget_20_1", data=str(data))
    assert sizes(bench.case.evaluate) == {"forget": 6, "neighbour": 4, "retain": 5}
    assert {e.group for e in bench.case.evaluate["forget"]} == {"Person 0", "Person 1"}
    # what is asked of others is never trained on
    assert bench.case.train == {"forget": bench.case.evaluate["forget"]}


def test_wpu_unlearns_pages(put):
    """Every row repeats its person's page: each page once; what is kept are the pages of other
    people, not the questions of utility.
    """
    put(
        "wpu/forget_2_1",
        qa(6, title=lambda i: f"Person {i // 3}", wikipage=lambda i: f"Page of {i // 3}."),
    )
    put(
        "wpu/retain",
        qa(4, title=lambda i: f"Other {i // 2}", wikipage=lambda i: f"Page of other {i // 2}."),
    )
    data = put("wpu/general_retain", qa(5))
    train = wpu("forget_2_1", data=str(data)).case.train
    assert {role: [(e.text, e.group) for e in rows] for role, rows in train.items()} == {
        "forget": [("Page of 0.", "Person 0"), ("Page of 1.", "Person 1")],
        "retain": [("Page of other 0.", "Other 0"), ("Page of other 1.", "Other 1")],
    }


def test_yao_corpus(put):
    for part in ("forget", "approximate", "retain"):
        data = put(f"yao_corpus/github/{part}", [{"text": f"{part} code {i}"} for i in range(4)])
    bench = yao_corpus("github", data=str(data))
    assert sizes(bench.case.evaluate) == {"forget": 4, "holdout": 4, "retain": 4} and sizes(
        bench.case.train
    ) == {"forget": 4, "retain": 4}
    data = put("yao_corpus/general/evaluation", [{"text": f"any {i}"} for i in range(3)])
    assert sizes(yao_corpus("github", data=str(data)).case.evaluate)["general"] == 3


def test_ort(put):
    rows = [
        {"fact": f"f{i}", "form": form, "question": f"{form} {i}?", "answer": "A"}
        for i in range(3)
        for form in ("cloze", "qa")
    ]
    put("ort/forget", rows)
    data = put(
        "ort/retain", [r | {"fact": "k" + r["fact"], "question": "k" + r["question"]} for r in rows]
    )
    bench = ort(data=str(data))
    assert (
        sizes(bench.case.evaluate) == {"forget_qa": 3, "forget_cloze": 3, "retain": 6}
        and sizes(bench.case.train)["forget"] == 3
    )
    assert bench.arguments["form_dependence"] == {"roles": ("forget_qa", "forget_cloze")}
    assert (
        [e.group for e in bench.case.evaluate["forget_qa"]]
        == [e.group for e in bench.case.evaluate["forget_cloze"]]
        == ["f0", "f1", "f2"]
    )
    with pytest.raises(Refused, match="ort has no form 'choice'"):
        ort("choice", data=str(data))


def test_pistol_of_the_authors(put):
    edges = [
        ("A_B", 4),
        ("A_C", 4),
        ("A_C2", 4),
        ("B_D", 4),
        ("D_E", 4),
        ("E1_F1", 4),
        ("E1_q1", 4),
    ]
    put("pistol/factual_data", qa(3))
    data = put(
        "pistol/sample_data_1",
        [r | {"edge": e} for e, n in edges for r in qa(n, question=lambda i, e=e: f"{e} {i}?")],
    )
    bench = pistol("sample_data_1", data=str(data))
    # no path of contracts joins them to the edge
    apart = {"independent_sales": 4, "independent_employment": 4}
    assert (
        sizes(bench.case.evaluate)
        == {"forget": 4, "neighbour": 8, "retain": 8, "factual": 3} | apart
    )
    assert all("A_C " in e.prompt for e in bench.case.evaluate["forget"]) and sizes(
        bench.case.train
    ) == {
        "forget": 4,
        "retain": 24,
        "full": 28,
    }
    assert ("token_rank", "forget") in bench.metrics and (
        "token_rank",
        "independent_sales",
    ) in bench.metrics
    several = pistol("sample_data_1:A_C+A_C2", data=str(data)).case.evaluate
    assert (
        sizes(several)["forget"] == 8
        and {e.group for e in several["forget"]} == {"A_C", "A_C2"}
        and sizes(several)["neighbour"] == 4
    )
    chosen = pistol("sample_data_1:D_E", data=str(data)).case.evaluate["forget"]
    assert all("D_E" in e.prompt for e in chosen) and len({e.group for e in chosen}) == 4
    with pytest.raises(Refused, match="sample_data_1 has no edge 'A_D'; did you mean"):
        pistol("sample_data_1:A_D", data=str(data))


def test_waterdrum_of_the_authors(put):
    for role in ("forget", "retain"):
        data = put(
            f"waterdrum/ax/{role}",
            [{"id": i, "text": f"{role} {i}", "label": f"cat{i % 2}"} for i in range(4)],
        )
    bench = waterdrum("ax", data=str(data))
    assert sizes(bench.case.evaluate) == {"forget": 4, "retain": 4} and {
        e.group for e in bench.case.evaluate["forget"]
    } == {"cat0", "cat1"}
    # Waterfall's mark is not ours to verify
    assert "watermark_strength" not in {m for m, _ in bench.metrics}


# ------------------------------------------------------------------ absent and broken


def lume_rows(side):
    row = lambda i, task, probe: {
        "id": f"d{i}{probe}{i}",
        "task": task,
        "input": f"{side} {i}",
        "output": "x",
    }
    return [
        row(i, f"Task{t}", probe) for t in (1, 2, 3) for probe in ("sc", "qa") for i in range(2)
    ]


def r_tofu_rows(name):
    return qa(20, cot="Hm.", question=lambda i: f"{name} {i}?")


texts = lambda name: [{"text": f"{name} {i}"} for i in range(4)]
PROBES = [{"query": f"Q {i}?", "answer": "A", "type": "x"} for i in range(3)]
LEVELS = ("forget_level1", "forget_level2", "forget_level3", "neighbor_level1", "neighbor_level2")
NEEDED = {  # what each benchmark cannot do without
    wmdp: {f"wmdp/{domain}": choices(4) for domain in ("bio", "chem", "cyber")},
    rwku: {f"rwku/1_Ann_Lee/{file}": PROBES for file in LEVELS}
    | {f"rwku/1_Ann_Lee/{file}": texts(file) for file in ("forget_mia", "retain_mia")},
    muse: {
        f"muse/news/knowmem/{side}_qa{more}": qa(4)
        for side in ("forget", "retain")
        for more in ("", "_icl")
    },
    r_tofu: {f"r_tofu/{name}": r_tofu_rows(name) for name in ("forget10", "retain90")},
    lume: {f"lume/{side}": lume_rows(side) for side in ("forget", "retain")},
    pistol: {
        "pistol/sample_data_1": [
            r | {"edge": e, "question": e + r["question"]} for e in ("A_B", "A_C") for r in qa(4)
        ]
    },
    yao_corpus: {
        f"yao_corpus/arxiv/{part}": texts(part) for part in ("forget", "approximate", "retain")
    },
    wpu: {"wpu/forget_100": qa(4, title="Person")},
}
# benchmark, its rows, what it can do without: the file and the role that is then left out
OPTIONAL = [
    (wmdp, "", "mmlu/test", "mmlu"),
    (wmdp, "", "wmdp/retain", "retain (texts to unlearn with)"),
    *(
        (rwku, "Ann_Lee", f"rwku/1_Ann_Lee/{file}", role)
        for file, role in (("retain_mmlu", "mmlu"), ("retain_bbh", "bbh"))
    ),
    *(
        (rwku, "Ann_Lee", f"rwku/1_Ann_Lee/{role}", role)
        for role in ("truthful", "fluency", "triviaqa")
    ),
    (muse, "", "muse/news/verbmem/forget", "forget_verbmem"),
    (muse, "", "muse/news/privleak/holdout", "holdout"),
    (muse, "", "muse/news/raw/retain1", "retain (texts to train on)"),
    (r_tofu, "", "r_tofu/world_facts_perturbed", "world_facts"),
    (lume, "", "mmlu/test", "mmlu"),
    *((lume, "", f"lume/{side}", side) for side in ("member", "nonmember")),
    (pistol, "sample_data_1", "pistol/factual_data", "factual"),
    (yao_corpus, "", "yao_corpus/general/evaluation", "general"),
    (wpu, "", "wpu/general_retain", "retain"),
    (wpu, "", "wpu/msj_attack", "forget_attack"),
]


def test_lumes_membership_is_of_the_tasks_own_documents_where_they_are_at_hand(put):
    for name, rows in NEEDED[lume].items():
        data = put(name, rows)
    plain = lume(data=str(data))
    assert plain.arguments["semeval_score"]["roles"][-3:] == ("forget", "holdout", "mmlu")
    # as the task's script has it
    assert plain.arguments["forget_personal_question/exact_match"] == {"form": "letters"}
    for side in ("member", "nonmember"):
        put(
            f"lume/{side}", [{"id": f"{side}{i}", "document": f"{side} text {i}"} for i in range(3)]
        )
    bench = lume(data=str(data))
    assert bench.arguments["semeval_score"]["roles"][-3:] == ("member", "nonmember", "mmlu")
    texts = bench.case.evaluate["nonmember"]
    assert [e.text for e in texts] == [f"nonmember text {i}" for i in range(3)] and texts[
        0
    ].tags == ("unended",)
    assert "member" not in lume("personal", data=str(data)).case.evaluate


@pytest.mark.parametrize(("bench", "split", "file", "role"), OPTIONAL)
def test_what_is_absent_is_named_and_what_is_damaged_is_refused(
    bench, split, file, role, put, monkeypatch
):
    """A file that is cut off or empty is not taken for one that is not there; a folder named by the
    environment is as good as --data.
    """
    for name, rows in NEEDED[bench].items():
        data = put(name, rows)
    read = lambda: bench(**({"split": split} if split else {}), data=str(data))
    found = read()
    assert file.rsplit("/", 1)[-1] in found.absent[role] and "\n" not in found.absent[role]
    monkeypatch.setenv("EXPUNGE_DATA", str(data))
    assert bench(**({"split": split} if split else {})).absent == found.absent
    put(file, '{"question": "Q", "text": "t"}\n{"question": "Q", "te')
    with pytest.raises(Refused, match=rf"{file}.jsonl:2: 1 of 2 lines are not JSON objects"):
        read()
    put(file, "")
    with pytest.raises(Refused, match=rf"{file}.jsonl:1: no rows in this file; copy it again"):
        read()


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ConnectionError, NotAtHand),
        (FileNotFoundError, NotAtHand),
        (ValueError, NotAtHand),
        ("damaged", Refused),
    ],
)
def test_a_damaged_part_of_the_hub_is_not_an_absent_one(error, kind, monkeypatch):
    made = datasets.exceptions.DatasetGenerationError if error == "damaged" else error

    def load(repo, config, split=None):
        raise made("no")

    monkeypatch.setattr(datasets, "load_dataset", load)
    monkeypatch.setattr(datasets, "get_dataset_config_names", lambda repo: [])
    with pytest.raises(Refused) as caught:
        table("", "x", ("rows",), "hub:a/b:c@d")
    assert type(caught.value) is kind


@pytest.mark.parametrize("name", WANTED)
def test_absent_rows_are_named_in_one_line(name, tmp_path, monkeypatch):
    """Without --data, in an empty folder and in one that is not there: what is wanted, and where it
    is to be had.
    """
    monkeypatch.setattr(
        datasets, "load_dataset", lambda *a, **k: (_ for _ in ()).throw(ConnectionError("offline"))
    )
    name, _, split = name.partition(":")
    for given in ({}, {"data": str(tmp_path)}, {"data": str(tmp_path / "none")}):
        with pytest.raises(Refused) as caught:
            registry.resolve("benchmarks", name, given | ({"split": split} if split else {}))
        said = str(caught.value)
        assert (
            "\n" not in said
            and "is not the name of" not in said
            and WANTED[f"{name}:{split}" if split else name] in said
        ), said


def test_every_benchmark_is_tried_without_its_rows():
    assert {name.partition(":")[0] for name in WANTED} | WHOLE == set(registry.names("benchmarks"))


@pytest.mark.parametrize("name", LOADERS)
def test_what_was_never_seen_is_called_loader_only(name):
    card = registry.member("benchmarks", name).card
    assert (
        "loader only" in card["family"]
        and card["evidence"] == "reconstructed"
        and "oader only" in card["differs"]
    )


def test_rows_that_cannot_be_used_are_named_by_their_place(put):
    data = put("x/rows", [*qa(2), {"question": "", "answer": "A"}, {"question": "Q"}])
    with pytest.raises(
        Refused,
        match=r"rows.jsonl:3 \(question or answer is empty\): 2 of 4 rows cannot be used: "
        r".*rows.jsonl:4",
    ):
        examples(table(str(data), "x", ("rows",), "hub:a/b"), "forget", "x")
    data = put("x/rows", choices(1) + [{"question": "Q", "choices": ["a", "b"], "answer": 5}])
    with pytest.raises(Refused, match=r"rows.jsonl:2 \(no options, or none of them is right\)"):
        examples(
            table(str(data), "x", ("rows",), "hub:a/b"),
            "forget",
            "x",
            options="choices",
            right="answer",
        )


def test_letters_as_answers_and_shards_as_files(put):
    data = put(
        "x/rows-00000-of-00001.parquet", [{"question": "Q", "choices": ["a", "b"], "answer": "B"}]
    )
    (e,) = examples(
        table(str(data), "x", ("rows",), "hub:a/b"),
        "forget",
        "x",
        options="choices",
        right="answer",
    )
    assert e.right == 1 and e.answer == "b"
