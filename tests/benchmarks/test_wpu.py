"""WPU: people's pages to unlearn, questions about them, their neighbors and everyone else."""

import json

import pytest
from benchmark_rows import qa, sizes

from expunge.benchmarks.wpu import wpu
from expunge.core.errors import Refused

WANTED = {"": "Shiyu-Lab/Wikipedia_Person_Unlearn"}
LAYOUT = {"wpu/forget_100": qa(4, title="Person")}
OPTIONAL = {"wpu/general_retain": "retain", "wpu/msj_attack": "forget_attack"}


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
