"""R-TOFU: TOFU with thoughts before the answers, forgotten request by request."""

from benchmark_rows import qa, sizes

from expunge.benchmarks.r_tofu import FACTS, r_tofu

WANTED = {"": "github.com/AI-ISL/R-TOFU"}
LAYOUT = {
    f"r_tofu/{name}": qa(20, cot="Hm.", question=lambda i, name=name: f"{name} {i}?")
    for name in ("forget10", "retain90")
}
OPTIONAL = {"r_tofu/world_facts_perturbed": "world_facts"}


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
