"""CounterFact: facts, paraphrases and a neighbor of each."""

import pytest
from benchmark_rows import sizes

from expunge.benchmarks.counterfact import counterfact
from expunge.core.errors import Refused

WANTED = {"": "azhx/counterfact"}
SPLIT = "10"
LAYOUT = {
    "counterfact/counterfact-edit": [
        {
            "prompt": f"The mother tongue of Ann {i} is",
            "subject": f"Ann {i}",
            "ground_truth": "French",
            "target_new": "English",
            "rephrase_prompt": f"Ann {i} speaks",
            "locality_prompt": f"Bo {i} is a native speaker of",
            "locality_ground_truth": "French",
        }
        for i in range(20)
    ]
}
REAL = {"50": ""}


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
