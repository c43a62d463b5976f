"""ConceptVectors: a concept's texts and questions, and the column in which it lives."""

import gzip
import json

import pytest
from benchmark_rows import sizes

from expunge.benchmarks.conceptvectors import conceptvectors
from expunge.core.errors import Refused
from expunge.evaluation.observations.concept_columns import place_of

WANTED = {"": "YihuaiHong/ConceptVectors"}
SPLIT = "llama2-7b:Poland"


def concept(name, column):
    """A concept with its page, two texts in halves, and questions."""
    half = lambda i: {"First_half": f"{name} {i} lies", "Second_half": f"by the sea {i}."}
    return {
        "Concept": name,
        "Layer": 1,
        "Dim": column,
        "QA": [f"Where does {name} lie?", f"How large is {name}?"],
        "text_completion": [half(0), half(1)],
        "unrelated_QA": ["What is the boiling point of water?"],
        "wikipedia_content": f"{name} is a country. " * 9,
    }


LAYOUT = {"conceptvectors/llama2-7b_concepts_dev": [concept("Poland", 2), concept("Peru", 3)]}
REAL = {"": "", "llama2-7b:Poland": ""}


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
