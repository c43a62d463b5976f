"""WMDP: three domains of questions with options, with MMLU beside them where it is at hand."""

from benchmark_rows import choices, sizes

from expunge.benchmarks.wmdp import published, wmdp

WANTED = {"": "cais/wmdp"}
LAYOUT = {f"wmdp/{domain}": choices(4) for domain in ("bio", "chem", "cyber")}
OPTIONAL = {"mmlu/test": "mmlu", "wmdp/retain": "retain (texts to unlearn with)"}
REAL = {"": "", "chem": ""}


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
