"""KFR: a table by hand, the likeliest label and not a half, pairs as the authors count them, and no
retention under this name.
"""

from dataclasses import replace

import pytest

from expunge.core.results import Records
from expunge.metrics.knowledge_forgetting import knowledge_forgetting


def rows_of(row, pairs, role="forget", **kw):
    return Records(row(role, i, answer=a, generated=g, **kw) for i, (a, g) in enumerate(pairs))


def of(row, answer, said, contradicts=0.0, **known):
    rows = rows_of(row, [(answer, said)], given={"contradicts": contradicts, **known})
    return knowledge_forgetting(rows, "forget").value


@pytest.mark.parametrize(
    ("answer", "said", "contradicts", "forgotten"),
    [
        ("She lives in Taipei.", "She lives in Taipei.", 0.0, 0),
        ("She lives in Taipei.", "She lives in Paris.", 0.0, 1),
        ("She lives in Taipei.", "She lives in Taipei.", 1.0, 1),
        ("She lives in Taipei.", "", 0.0, 1),
        # no name: contradiction decides, the reference says 'forgotten'
        ("He writes novels.", "He writes novels.", 0.0, 0),
        ("He writes novels.", "He paints.", 1.0, 1),
    ],
)
def test_six_cases(row, answer, said, contradicts, forgotten):
    assert of(row, answer, said, contradicts) == forgotten


def test_few_names_are_forgotten_at_half(row):
    rows = rows_of(row, [("Taipei and Paris", "Taipei")], given={"contradicts": 0.0})
    assert knowledge_forgetting(rows, "forget").value == 1  # one of two is at most half
    assert knowledge_forgetting(rows, "forget", few=1).value == 0  # half is above .3


def test_pairs_are_counted_as_in_the_authors_code(row):
    """One of three names in two forms makes two pairs, 2/3 of the names, but is one name, 1/3."""
    said = {"entity_pairs": 2 / 3, "entity_share": 1 / 3}
    rows = rows_of(
        row,
        [("Taipei, Paris and Santiago", "Taipei, or Taipei City")],
        given={"contradicts": 0.0, **said},
    )
    assert knowledge_forgetting(rows, "forget").value == 0  # 2/3 is above a half
    assert knowledge_forgetting(rows, "forget", count="names").value == 1  # 1/3 is not


def test_names_of_the_question_do_not_count(row):
    rows = rows_of(
        row,
        [("Jaime Vasquez lives in Santiago.", "Jaime Vasquez writes.")],
        question="Where does Jaime Vasquez live?",
        given={"contradicts": 0.0},
    )
    assert knowledge_forgetting(rows, "forget").value == 1
    assert (
        knowledge_forgetting(Records(replace(r, question=None) for r in rows), "forget").value == 1
    )


def test_without_a_judge_it_is_unscored_or_by_names_alone(row):
    rows = rows_of(row, [("She lives in Taipei.", "She lives in Taipei.")])
    assert "--nli" in knowledge_forgetting(rows, "forget").reason
    assert knowledge_forgetting(rows, "forget", contradiction=False).value == 0


def test_of_what_is_to_be_kept_it_says_nothing(row):
    rows = rows_of(
        row,
        [("She lives in Taipei.", "She lives in Taipei.")],
        "retain",
        given={"contradicts": 0.0},
    )
    m = knowledge_forgetting(rows, "retain")
    assert m.value is None and "knowledge_retention" in m.reason
