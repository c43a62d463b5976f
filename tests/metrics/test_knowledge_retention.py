"""KRR: a table by hand; what is to be forgotten is asked for by the other name."""

import pytest

from expunge.core.data import Case, Example
from expunge.core.errors import Refused
from expunge.core.results import Records
from expunge.metrics.knowledge_retention import knowledge_retention
from expunge.pipeline.settings import judges_of


def of(row, answer, said, contradicted=0.0, role="retain", **kw):
    given = {"contradicted_by_answer": contradicted, **kw.pop("given", {})}
    return knowledge_retention(
        Records([row(role, answer=answer, generated=said, given=given)]), role, **kw
    )


@pytest.mark.parametrize(
    ("answer", "said", "contradicted", "kept"),
    [
        ("She lives in Taipei.", "She lives in Taipei.", 0.0, 1),
        ("She lives in Taipei.", "She lives in Paris.", 0.0, 0),
        ("She lives in Taipei.", "She lives in Taipei.", 1.0, 0),
        ("She lives in Taipei.", "", 0.0, 0),
        # no name: contradiction decides, the reference says 'lost'
        ("He writes novels.", "He writes novels.", 0.0, 1),
        ("He writes novels.", "He paints.", 1.0, 0),
        ("Taipei, Paris, Rome and Santiago", "Taipei", 0.0, 0),  # a quarter is below .3
        ("Taipei, Paris and Santiago", "Taipei", 0.0, 1),  # a third is not
    ],
)
def test_eight_cases(row, answer, said, contradicted, kept):
    m = of(row, answer, said, contradicted)
    assert (m.value, m.better) == (kept, "higher")


def test_pairs_or_names(row):
    said = {"entity_pairs": 0.4, "entity_share": 0.2}
    assert of(row, "Taipei", "Taipei", given=said).value == 1
    assert of(row, "Taipei", "Taipei", given=said, count="names").value == 0


def test_of_what_is_to_be_forgotten_it_says_nothing(row):
    m = of(row, "Taipei", "Taipei", role="forget")
    assert m.value is None and "knowledge_forgetting" in m.reason


def test_a_metric_asked_for_by_name_meets_only_the_roles_that_it_speaks_of():
    rows = lambda role: (Example("a", role, "g", answer="x", prompt="q"),)
    case = Case({}, {role: rows(role) for role in ("forget", "retain", "holdout")})
    asked = judges_of(None, case, ("knowledge_retention", "knowledge_forgetting", "bleu"))
    roles = {
        name: [j.role for j in asked if j.name == name]
        for name in ("knowledge_retention", "knowledge_forgetting", "bleu")
    }
    assert roles["knowledge_retention"] == ["retain"]
    assert roles["knowledge_forgetting"] == ["forget", "holdout"]
    assert roles["bleu"] == ["forget", "retain", "holdout"]
    with pytest.raises(
        Refused,
        match="knowledge_retention is of roles that are kept, and the data have none; give "
        "--retain",
    ):
        judges_of(None, Case({}, {"forget": rows("forget")}), ("knowledge_retention",))
