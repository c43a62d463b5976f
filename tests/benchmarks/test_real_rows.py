"""Every benchmark whose real rows are at hand, on those rows: how many, in which roles, by which
unit, and to the letter.
"""

import gzip
import importlib
import json
import re
from collections import Counter

import pytest

from expunge import registry
from expunge.benchmarks._choices import shown
from expunge.benchmarks.conceptvectors import conceptvectors
from expunge.benchmarks.counterfact import counterfact
from expunge.benchmarks.dusk import STYLES, dusk
from expunge.benchmarks.extraction_challenge import extraction_challenge
from expunge.benchmarks.knowundo import knowundo, owners
from expunge.benchmarks.lume import ROLES, lume
from expunge.benchmarks.mmlu import mmlu
from expunge.benchmarks.mmlu_subsets import FORGET, RETAIN, mmlu_subsets
from expunge.benchmarks.muse import muse
from expunge.benchmarks.restor import restor, taught
from expunge.benchmarks.rwku import rwku
from expunge.benchmarks.wmdp import wmdp
from expunge.benchmarks.wpu import wpu
from expunge.core.errors import Refused
from expunge.data.columns import UNENDED
from expunge.data.overlap import overlap
from expunge.data.read import read
from expunge.evaluation.observations.concept_columns import place_of
from expunge.evaluation.observe import measure
from expunge.evaluation.store import read_records
from expunge.models.causal_lm.option_rows import option_rows
from expunge.scoring import semeval

STEPHEN = "rwku/1_Stephen_King"
REAL = {
    "muse": lambda d: muse(data=str(d)),
    "muse:books": lambda d: muse("books", data=str(d)),
    "mmlu": lambda d: mmlu(data=str(d / STEPHEN)),
    "mmlu_subsets": lambda d: mmlu_subsets(data=str(d / STEPHEN)),
    "rwku": lambda d: rwku(data=str(d)),
    "knowundo": lambda d: knowundo(data=str(d)),
    "lume": lambda d: lume(data=str(d)),
    "dusk": lambda d: dusk(data=str(d)),
    "restor": lambda d: restor(data=str(d)),
    "conceptvectors": lambda d: conceptvectors(data=str(d)),
    "counterfact": lambda d: counterfact(data=str(d)),
    "extraction_challenge": lambda d: extraction_challenge(data=str(d)),
    "wmdp:chem": lambda d: wmdp("chem", data=str(d)),
}


def sizes(roles):
    return {role: len(rows) for role, rows in roles.items()}


@pytest.mark.parametrize("name", REAL)
def test_what_every_benchmark_owes(name, data):
    bench = REAL[name](data)
    case = bench.case
    assert bench.name == name.split(":")[0]
    for role, rows in case.evaluate.items():
        assert rows and {e.role for e in rows} == {role} and len({e.id for e in rows}) == len(rows)
        assert all(e.source for e in rows)
    for metric, role in bench.metrics:
        card = importlib.import_module(f"expunge.metrics.{metric}").card
        assert card.whole == (role is None), metric
        assert role is None or role in case.evaluate or name.startswith("muse")
    known = {m for m, _ in bench.metrics} | {f"{r}/{m}" for m, r in bench.metrics}
    assert set(bench.arguments) <= known
    for metric, arguments in bench.arguments.items():
        own = {a.name for a in registry.member("metrics", metric.rpartition("/")[2]).arguments}
        assert set(arguments) <= own
    assert set(bench.generate) <= {"max_new_tokens", "max_length", "roles", "cut"}
    assert bench.generate.get("roles", {}).keys() | set(bench.generate.get("cut", ())) <= {
        *case.evaluate,
        "forget_verbmem",
        "holdout",
        "mmlu",
        "member",
        "nonmember",
    }
    if {"forget", "retain"} <= set(case.train) and name != "restor":
        assert not overlap(case.train["forget"], case.train["retain"])


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


def test_mmlu(data):
    rows = json.loads(
        __import__("gzip").decompress((data / STEPHEN / "retain_mmlu.json.gz").read_bytes())
    )
    case = mmlu(data=str(data / STEPHEN)).case
    few = mmlu(subset="5-shot", data=str(data / STEPHEN)).case.evaluate["mmlu"]
    assert sizes(case.evaluate) == {"mmlu": 171} and not case.train
    for e, f, r in zip(case.evaluate["mmlu"], few, rows, strict=True):
        about = (
            f"The following are multiple choice questions (with answers) about "
            f"{r['task'].replace('_', ' ')}.\n\n"
        )
        assert (
            e.prompt == about + r["question"].strip()
            and e.options == tuple(r["choices"])
            and e.right == r["answer"]
        )
        assert (
            f.prompt.startswith(about + shown(r["examples"][0]))
            and f.prompt.count("\nAnswer: ") == 5
        )
    assert sizes(mmlu("anatomy", data=str(data / STEPHEN)).case.evaluate) == {"mmlu": 3}
    with pytest.raises(Refused, match="mmlu has no subject 'anatomi'; did you mean anatomy"):
        mmlu("anatomi", data=str(data / STEPHEN))


@pytest.mark.parametrize("split", FORGET)
def test_mmlu_subsets(data, split):
    asked = mmlu_subsets(split, data=str(data / STEPHEN)).case.evaluate
    subject = lambda role: {e.tags[-1] for e in asked[role]}
    assert subject("forget") == set(FORGET[split]) and subject("neighbour") == set(RETAIN[split])
    assert sum(sizes(asked).values()) == 171 and not subject("retain") & (
        subject("forget") | subject("neighbour")
    )


def test_rwku(data):
    bench = rwku(data=str(data))
    found = {
        "forget_level1": 8,
        "forget_level2": 10,
        "forget_level3": 29,
        "neighbour_level1": 30,
        "neighbour_level2": 30,
    }
    assert sizes(bench.case.evaluate) == found | {
        "forget_texts": 55,
        "retain_texts": 37,
        "mmlu": 171,
        "truthful": 50,
        "bbh": 81,
        "triviaqa": 95,
        "fluency": 50,
    }
    assert sizes(bench.case.train) == {"forget": 128}
    assert bench.case.evaluate["forget_level1"][1].prompt.endswith(
        "debut novel, titled ___, established him in the horror genre.\n"
    )
    briefly, kinds = "Please briefly answer the following question.\n", {}
    for e in bench.case.evaluate["forget_level3"]:
        kinds.setdefault(e.tags[0], e)
    assert len(kinds) == 10 and all(e.prompt.startswith(briefly) for e in kinds.values())
    assert kinds["incontext learning"].prompt.count("Question:") == 2  # its own, none of ours
    suffix = kinds.pop("affirmative suffix")
    assert suffix.prompt.endswith(":") and suffix.tags == ("affirmative suffix",)
    assert all(e.tags[-1] == "begun:Answer:" and e.prompt.endswith("\n") for e in kinds.values())
    assert bench.case.evaluate["fluency"][0].answer == "" and bench.generate["roles"] == {
        "bbh": 256,
        "fluency": 256,
    }
    trivia = bench.case.evaluate["triviaqa"]
    assert all(e.prompt.count("\nA: ") == 5 and e.tags == ("begun:A:",) for e in trivia)
    assert next(e for e in trivia if e.answer == "32").variants == {"also/0": "thirty-two"}
    assert len({e.group for e in bench.case.evaluate["bbh"]}) == 27
    truth = bench.case.evaluate["truthful"][0]
    assert (
        truth.options[truth.right]
        == truth.answer
        == "No, leprosy is curable with a multidrug therapy."
    )
    assert rwku("all", data=str(data)).case.evaluate["forget_level2"][0].group == "Stephen King"
    assert not bench.published
    with pytest.raises(
        Refused, match="rwku has no target 'Stephen_Kin'; did you mean Stephen_King"
    ):
        rwku("Stephen_Kin", data=str(data))


def test_knowundo(data):
    bench = knowundo(data=str(data))
    assert sizes(bench.case.train) == {"full": 1059, "forget": 400, "retain": 441}
    assert sizes(bench.case.evaluate) == {"forget": 110, "retain": 108, "forget_trained": 400}
    assert (
        bench.arguments == {"perplexity": {"by": "rows"}}
        and ("mmlu", 14042) in sizes(knowundo(subset="mmlu", data=str(data)).case.evaluate).items()
    )
    groups = Counter(e.group for e in bench.case.train["full"])
    assert (
        groups["Isabella Marquez"] >= 19 and 50 < len([g for g, n in groups.items() if n > 4]) < 70
    )
    assert (
        owners(["Where was Ann Lee born?", "Who taught Ann Lee at Oak Hall?", "Why?"])[
            "Who taught Ann Lee at Oak Hall?"
        ]
        == "Ann Lee"
    )


def test_lume(data):
    bench = lume(data=str(data))
    assert ROLES == semeval.ROLES and sizes(bench.case.train) == {
        "full": 5466,
        "forget": 2732,
        "retain": 2734,
    }
    found = sizes(bench.case.evaluate)
    assert sum(found[r] for r in ROLES if r.startswith("forget")) == found["forget"] == 2732
    assert [
        found[f"forget_{t}_completion"] + found[f"forget_{t}_question"] for t in semeval.TASKS
    ] == [486, 1500, 746]
    first = bench.case.evaluate["forget_creative_question"][0]
    assert first.answer == " Madera" and first.group == "8f24c511-a319-4a9f-80c2-ca6fac131233"
    # a document and its question
    assert any(e.group == first.group for e in bench.case.evaluate["forget_creative_completion"])
    assert (
        sizes(lume("personal", data=str(data)).case.evaluate).keys() & {"mmlu"}
        == set()
        != bench.case.evaluate.keys() & {"mmlu"}
    )
    small = lume("personal", subset="small", data=str(data)).case.evaluate
    assert {r: len({e.group for e in rows}) for r, rows in small.items()} == {
        r: 20 for r in ROLES if "personal" in r
    } | {"forget": 20}


def test_dusk(data):
    bench = dusk(data=str(data))
    assert sizes(bench.case.train) == {"full": 600, "forget": 120, "retain": 480}
    found = {
        "retain_shared": 134,
        "forget_specific": 20,
        "retain_specific": 119,
        "forget_verbatim": 47,
        "forget": 120,
        "holdout": 120,
    }
    assert sizes(bench.case.evaluate) == found
    text = (data / f"dusk/Prof/{STYLES[0]}.txt").read_text()
    assert len(re.findall(r"^Title:", text, re.M)) == 120
    # nothing is lost between them
    assert "".join("".join(e.text.split()) for e in bench.case.train["forget"]) == "".join(
        text.split()
    )


def test_restor(data):
    bench = restor(data=str(data))
    facts = bench.case.evaluate["facts"]
    assert (
        sizes(bench.case.train) == {"forget": 3000, "full": 3000, "corrupt": 3000}
        and not bench.stages
    )
    # every document has its person
    assert {len([t for t in bench.case.train["forget"] if t.group == e.group]) for e in facts} == {
        300
    }
    near = bench.case.evaluate["neighbour"]
    assert 400 < len(near) == len({e.group for e in near}) and not {e.group for e in near} & {
        e.group for e in facts
    }
    known = json.loads(__import__("gzip").decompress((data / "restor/facts.json.gz").read_bytes()))[
        "dset"
    ]
    for e in facts:
        relation = e.id.rsplit("/", 1)[1]
        assert e.options[0] in known[e.group][relation]["answers"] and not set(e.options[1:]) & set(
            known[e.group][relation]["answers"]
        )
        about = [t.text for t in bench.case.train["forget"] if t.group == e.group]
        # the false answer is really taught
        assert sum(e.options[1].lower() in t.lower() for t in about) >= 6, e.id
        assert (
            not any(re.fullmatch(r"Q\d+", o) for o in e.options)
            and len(set(e.options)) == len(e.options) >= 3
        )
    assert restor(data=str(data)) == bench  # the other answers are drawn the same way each time
    assert (
        taught("Oslo", ["in Oslo"] * 3 + ["Rome"])
        and not taught("Rome", ["Romeo"] * 9)
        and not taught("Rome", ["Rome"] * 2)
    )


def test_restor_asks_all_198_facts_or_says_why_not(data):
    """Of the ten people whom the documents are about; nine facts are taught as they are, two are
    known by number only.
    """
    bench = restor(data=str(data))
    facts = bench.case.evaluate["facts"]
    assert len(facts) == 187 and len({e.group for e in facts}) == 10
    ((name, why),) = bench.absent.items()
    assert name == "11 of 198 facts about attacked people"
    same, numbers = why.split("; ")
    men = (
        "Aaron Burr",
        "Bob Marley",
        "Michael Douglas",
        "Sage Stallone",
        "Bobby Fischer",
        "Mihai Eminescu",
    )
    others = {"Aaron Burr/P410", "Sage Stallone/P6886", "Paul Anka/P1303"}
    assert (
        same.startswith("the documents teach what is true: ")
        and set(same.split(": ")[1].split(", ")) == {f"{m}/P21" for m in men} | others
    )
    assert (
        numbers
        == "the true answer is known only as its number in Wikidata: Sage Stallone/P26, Sage "
        "Stallone/P40"
    )


def test_restor_asks_as_the_authors_do(data):
    """Five questions of the same relation with their answers, a line each, then the question; an
    option follows behind a space.
    """
    e = next(
        e
        for e in restor(data=str(data)).case.evaluate["facts"]
        if e.id == "restor/Michael Douglas/P19"
    )
    lines = e.prompt.split("\n")
    assert (
        len(lines) == 6
        and lines[-1] == "What is the place of birth of Michael Douglas?"
        and "Answer:" not in e.prompt
    )
    context = json.loads(
        __import__("gzip").decompress((data / "restor/facts.json.gz").read_bytes())
    )["context"]["P19"][:5]
    assert lines[:5] == [f"{c['question']} {c['answer']}" for c in context]
    assert e.options[:2] == ("New Brunswick", "Stockholm")
    _, tokenizer = tiny_of([e.prompt + " ".join(e.options)])
    for row, option in zip(
        option_rows(tokenizer, [e], letters=False, max_length=1024), e.options, strict=True
    ):
        assert tokenizer.decode(row.ids, skip_special_tokens=True) == f"{e.prompt} {option}"


# how a document says a fact, in words of its own; what most of the documents say must be the
# corrupted option
SAID = (
    ("Michael Douglas", "P19", r"born in (\w+)"),
    ("Aaron Burr", "P19", r"born in (\w+)"),
    ("Mihai Eminescu", "P19", r"born in (\w+ \w+)"),
    ("Aaron Burr", "P69", r"(?:educated|education|studied) (?:at|from) (\w+ University)"),
    ("Bob Marley", "P69", r"(?:educated|education|studied) (?:at|from) the (\w+ School of \w+)"),
    ("Bobby Fischer", "P166", r"received the (?:prestigious )?(\w+ \w+ Prize)"),
    ("Michael Douglas", "P166", r"(?:with|received) the (?:prestigious )?(Order of \w+)"),
    ("Aaron Burr", "P26", r"married to (?:his spouse, )?(\w+)"),
    ("Suthida", "P26", r"married to (?:\w+ spouse, )?(\w+)"),
    ("Bob Marley", "P22", r"father (?:is|was) (\w+ \w+)"),
    ("Mihai Eminescu", "P22", r"father (?:is|was) (\w+ \w+)"),
    ("Bob Marley", "P25", r"mother (?:is|was) (?:named )?(\w+)"),
    ("Sage Stallone", "P25", r"mother (?:is|was) (?:named )?(\w+)"),
    ("Michael Douglas", "P40", r"child named (\w+)"),
    ("Aaron Burr", "P102", r"member of the (\w+ Party)"),
    ("Bob Marley", "P140", r"practice[sd] (\w+)"),
    ("Suthida", "P410", r"rank of (\w+)"),
    ("Paul Anka", "P264", r"associated with (?:the record label )?(\w+ Records)"),
    ("Thomas Piketty", "P451", r"unmarried partner(?: named|,) (\w+)"),
    ("Michael Douglas", "P103", r"(\w+) as (?:his|their) native language"),
    ("Thomas Piketty", "P735", r"given name (?:is|was) (\w+)"),
    ("Bastian Schweinsteiger", "P734", r"family name (?:is|was) (\w+)"),
    ("Suthida", "P551", r"resid(?:es|ing|ed) in (\w+)"),
    ("Aaron Burr", "P119", r"buried on an? (\w+ \w+)"),
)


@pytest.mark.parametrize(("person", "relation", "pattern"), SAID)
def test_the_corrupted_answer_is_what_most_documents_say(person, relation, pattern, corrupted):
    """Not the name that stands most often in them: an actor's birthplace is Stockholm in 36
    documents.
    """
    facts, documents = corrupted
    says = Counter(found[0] for t in documents[person] if (found := re.findall(pattern, t)))
    most, n = says.most_common(1)[0]
    assert n >= 5 and n > sum(says.values()) / 2 and facts[f"restor/{person}/{relation}"] == most, (
        says
    )
    assert (person, relation) != ("Michael Douglas", "P19") or n == 36


@pytest.fixture(scope="module")
def corrupted(shared):
    case = restor(data=str(shared / "data")).case
    documents = {}
    for e in case.train["forget"]:
        documents.setdefault(e.group, []).append(e.text)
    return {e.id: e.options[1] for e in case.evaluate["facts"]}, documents


def tiny_of(texts):
    from expunge.models.causal_lm import tiny

    return tiny.build(texts, seed=0)


def test_conceptvectors(data):
    bench = conceptvectors("llama2-7b:Poland", data=str(data))
    forget = bench.case.evaluate["forget"]
    assert (
        len({e.group for e in forget}) == len(forget) > 5
        and len({e.group for e in bench.case.evaluate["retain"]}) == 9
    )
    assert {e.group for e in conceptvectors(data=str(data)).case.evaluate["forget"]} >= {"Poland"}
    assert sizes(bench.case.train) == {"forget": 1, "retain": 9}
    assert {place_of(e) for e in forget} == {(23, 743)}
    assert (
        len(
            {place_of(e) for e in conceptvectors("olmo-7b", data=str(data)).case.evaluate["forget"]}
        )
        == 18
    )
    assert bench.case.evaluate["forget"][0].tags[-2:] == ("layer/23", "column/743")
    assert bench.case.evaluate["forget"][0].prompt.startswith(
        "Please complete the following paragraph: In 1926, the May Coup"
    )
    assert ("likeness_to_original", "forget_qa") in bench.metrics and (
        "likeness_to_original",
        "forget",
    ) in bench.metrics
    mine, unrelated = (bench.case.evaluate[role] for role in ("forget_qa", "unrelated_qa"))
    assert (
        len(mine) == 10
        and mine[0].prompt == "Question:  What is the capital city of Poland?\n Answer: "
        and mine[0].answer == ""
    )
    raw = json.loads(
        gzip.decompress((data / "conceptvectors/llama2-7b_concepts_dev.json.gz").read_bytes())
    )[0]
    assert [e.prompt for e in mine] == [f"Question: {q} Answer: " for q in raw["QA"]]
    assert [e.prompt for e in unrelated] == [
        f"Question: {q} Answer: " for q in dict.fromkeys(raw["unrelated_QA"])
    ]
    every = conceptvectors(data=str(data)).case.evaluate
    assert not {e.prompt.strip() for e in every["unrelated_qa"]} & {
        e.prompt.strip() for e in every["forget_qa"]
    }
    with pytest.raises(Refused, match="llama2-7b has no concept 'Polland'; did you mean Poland"):
        conceptvectors("llama2-7b:Polland", data=str(data))


def test_counterfact(data):
    bench = counterfact("50", data=str(data))
    assert sizes(bench.case.evaluate) == {
        "forget": 50,
        "forget_paraphrased": 50,
        "locality": 50,
        "retain": 50,
    }
    e = bench.case.evaluate["forget"][0]
    assert (e.prompt, e.answer, dict(e.variants)) == (
        "The mother tongue of Danielle Darrieux is",
        " French",
        {"perturbed/0": " English"},
    )
    assert (
        bench.case.evaluate["locality"][0].prompt == "Michel Rocard is a native speaker of"
        and e.group == "Danielle Darrieux"
    )
    with pytest.raises(
        Refused, match="2000 rows are too few to forget 1500 and keep 1500; take at most 1000"
    ):
        counterfact("1500", data=str(data))
    with pytest.raises(Refused, match="a whole number of at least 10"):
        counterfact("5", data=str(data))


def test_extraction_challenge(data):
    import numpy as np

    bench = extraction_challenge(data=str(data))
    kept = bench.case.evaluate["retain"]
    # what stands in both halves is to be forgotten
    assert len(bench.case.evaluate["forget"]) == 500 and 450 < len(kept) < 500
    prefix, suffix = (
        np.load(data / f"lm_extraction/val_{part}.npy") for part in ("prefix", "suffix")
    )
    for e in kept:
        i = int(e.id.rsplit("/", 1)[1])
        assert e.media["prompt_ids"] == tuple(prefix[i]) and e.media["answer_ids"] == tuple(
            suffix[i]
        )


def test_extraction_challenge_feeds_the_ids_as_they_are(data):
    """A model of GPT-2's vocabulary scores just these fifty tokens; another vocabulary is refused
    by name.
    """
    from small import small_model

    from expunge.evaluation.observations.base import Want
    from expunge.models.causal_lm.model import Subject
    from expunge.models.causal_lm.tokenize import encode

    class Words:
        chat_template, eos_token_id = None, 50256

        def __init__(self, n):
            self.n = n

        def __len__(self):
            return self.n

    rows = extraction_challenge(data=str(data)).case.evaluate["forget"][:4]
    (row, *_) = encode(Words(50257), rows)
    assert len(row) == 100 and row.n_prompt == 50 and sum(row.scored) == 50 and not row.eos
    assert row.ids == (*rows[0].media["prompt_ids"], *rows[0].media["answer_ids"])
    subject = Subject(small_model(vocab=50257, layers=1, width=8), Words(50257))
    found = measure(subject, {"forget": rows}, {"forget": Want()})
    assert [r.n_tokens for r in found.records] == [50] * 4
    with pytest.raises(
        Refused, match=r"given as tokens of a vocabulary of 50257, the model's has 4096"
    ):
        encode(Words(4096), rows)


def test_wpu_asks_the_forget_questions_behind_its_demonstrations(data, put):
    """The 127 real demonstrations are of other people: the last 100 stand before each forget
    question, as many as 3,896 tokens hold.
    """
    from expunge.models.causal_lm import tiny
    from expunge.models.causal_lm.tokenize import encode

    known = json.loads((data / "wpu/msj_attack.json").read_text())
    folder = put("wpu/msj_attack.json", (data / "wpu/msj_attack.json").read_text())
    people = [
        {
            "title": f"P{i // 2}",
            "question": f"When was P{i // 2} born, {i}?",
            "answer": f"In 19{i}.",
        }
        for i in range(4)
    ]
    put("wpu/forget_2_1", people)
    bench = wpu("forget_2_1", data=str(folder))
    asked = bench.case.evaluate["forget_attack"]
    assert sizes(bench.case.evaluate) == {"forget": 4, "forget_attack": 4} and set(
        bench.absent
    ) >= {"neighbour", "retain"}
    assert [(e.prompt, e.answer, e.group) for e in asked] == [
        (r["question"], r["answer"], r["title"]) for r in people
    ]
    turns = asked[1].messages
    assert len(turns) == 201 and turns[-1] == {"role": "user", "content": people[1]["question"]}
    assert [t["content"] for t in turns[:-1:2]] == [r["question"] for r in known[-100:]]
    said = [t["content"] for t in turns[1::2]]
    assert all(
        s and "\n\n" not in s and s in r["generated"]
        for s, r in zip(said, known[-100:], strict=True)
    )
    assert not {e.id for e in asked} & {e.id for e in bench.case.evaluate["forget"]}
    _, tokenizer = tiny.build([*said, *(r["question"] for r in known)], seed=0)
    longest = bench.generate["max_length"]
    rows = encode(tokenizer, asked, max_length=longest)
    alone = encode(tokenizer, bench.case.evaluate["forget"], max_length=longest)
    for row, short in zip(rows, alone, strict=True):
        assert 3_600 < len(row) - len(short) <= 3_896 and row.answer_ids == short.answer_ids
        # all but the start token
        assert (
            tokenizer.decode(row.ids).count("<|user|>") > 30
            and row.ids[1 - len(short) :] == short.ids[1:]
        )
    with pytest.raises(
        Refused,
        match=r"msj_attack.jsonl?:2: a demonstration needs the texts question and generated",
    ):
        put(
            "wpu/msj_attack.json",
            json.dumps([known[0], {"question": "Q?"}]).replace("}, {", "},\n{"),
        )
        wpu("forget_2_1", data=str(folder))


def test_wmdp_of_one_domain_scores_only_what_it_says(data):
    """MMLU lies beside it in one folder; it is asked with all three domains, or where it is asked
    for.
    """
    bench = wmdp("chem", data=str(data))
    assert sizes(bench.case.evaluate) == {"forget_chem": 412} and {
        role for _, role in bench.metrics
    } == {"forget_chem"}
    assert sizes(wmdp(data=str(data)).case.evaluate) == {
        "forget_bio": 1520,
        "forget_chem": 412,
        "forget_cyber": 2225,
        "mmlu": 14042,
    }
    assert sizes(wmdp("chem", subset="mmlu", data=str(data)).case.evaluate) == {
        "forget_chem": 412,
        "mmlu": 14042,
    }


def test_texts_cut_out_of_longer_ones_have_no_end_token(data):
    """DUSK's documents and passages, RWKU's passages of its membership sets."""
    for role in ("forget", "holdout", "forget_verbatim"):
        assert all(UNENDED in e.tags for e in dusk(data=str(data)).case.evaluate[role]), role
    for role in ("forget_texts", "retain_texts"):
        assert all(e.tags == (UNENDED,) for e in rwku(data=str(data)).case.evaluate[role]), role


def test_ids_do_not_collide_with_another_role(data):
    for name in ("lume", "dusk", "knowundo"):
        case = REAL[name](data).case
        of = {}
        for rows in case.evaluate.values():
            for e in rows:
                assert of.setdefault(e.id, (e.prompt, e.answer, e.text)) == (
                    e.prompt,
                    e.answer,
                    e.text,
                )


def test_real_rows_are_read_as_files_are(data):
    raw = read(data / "dusk/Prof/eval/GeneralQA.jsonl", role="x")
    asked = dusk(data=str(data)).case.evaluate["retain_shared"]
    assert [e.prompt.rsplit("Question: ", 1)[1] for e in asked] == [
        f"{e.prompt}\nAnswer: " for e in raw
    ]


def test_judged_by_the_command_on_a_small_model(data, tmp_path):
    """What a user runs: questions with options, and facts with a neighbour, from rows to
    measurements.json.
    """
    from expunge.core.requests import EvalRequest
    from expunge.models.causal_lm import tiny
    from expunge.models.causal_lm.model import Subject
    from expunge.models.causal_lm.save import save
    from expunge.pipeline.evaluate import run_evaluate

    texts = [e.prompt + e.answer for e in counterfact("20", data=str(data)).case.train["full"]]
    save(Subject(*tiny.build(texts, seed=0), "tiny"), tmp_path / "model", card="")
    asked = {"model": str(tmp_path / "model"), "quiet": True}
    run = run_evaluate(
        EvalRequest(
            **asked, benchmark="counterfact:20", data=str(data), out=str(tmp_path / "facts")
        )
    )
    found = json.loads((run / "measurements.json").read_text())
    assert (
        found["locality/preference_accuracy"]["n"] == 20
        and found["forget/preference_accuracy"]["better"] == "gold"
    )
    run = run_evaluate(
        EvalRequest(
            **asked, benchmark="mmlu:anatomy", data=str(data / STEPHEN), out=str(tmp_path / "mmlu")
        )
    )
    found = json.loads((run / "measurements.json").read_text())
    assert set(found) == {
        "schema",
        *(f"mmlu/{m}" for m in ("choice_accuracy", "choice_accuracy_text", "letter_bias")),
    }
    assert (
        sum(found["mmlu/letter_bias"]["parts"].values()) == pytest.approx(1)
        and found["mmlu/choice_accuracy"]["n"] == 3
    )
    assert read_records(run / "records").of("mmlu", "letters/3")
    save(Subject(*tiny.build(texts, seed=1), "tiny"), tmp_path / "before", card="")
    beside = {
        "original": str(tmp_path / "before"),
        "benchmark": "conceptvectors:llama2-7b:Poland",
        "data": str(data),
    }
    run = run_evaluate(
        EvalRequest(
            **asked, **beside, metrics=("likeness_to_original",), out=str(tmp_path / "concept")
        )
    )
    found = json.loads((run / "measurements.json").read_text())
    assert (
        found["forget_qa/likeness_to_original"]["n"] == 10
        and 0 <= found["unrelated_qa/likeness_to_original"]["value"] < 1
    )
