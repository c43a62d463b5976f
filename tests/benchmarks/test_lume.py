"""LUME: creative, personal and biographic documents, each with its completion and its question."""

from benchmark_rows import sizes

from expunge.benchmarks.lume import ROLES, lume
from expunge.scoring import semeval

WANTED = {"": "github.com/amazon-science/lume-llm-unlearning"}


def documents(side):
    """Two documents of every task, each with its completion and its question."""
    made = []
    for task in (1, 2, 3):
        for probe in ("sc", "qa"):
            for i in range(2):
                id = f"{side}{task}{i}{probe}{i}"
                asked = f"{side} {task} {probe} {i}"
                made.append({"id": id, "task": f"Task{task}", "input": asked, "output": "x"})
    return made


LAYOUT = {f"lume/{side}": documents(side) for side in ("forget", "retain")}
OPTIONAL = {"mmlu/test": "mmlu", "lume/member": "member", "lume/nonmember": "nonmember"}
REAL = {"": ""}


def test_lumes_membership_is_of_the_tasks_own_documents_where_they_are_at_hand(put):
    for name, rows in LAYOUT.items():
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
