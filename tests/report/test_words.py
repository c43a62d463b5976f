"""A report on pictures speaks of pictures and classes, one on texts of questions and answers."""

import pytest

from expunge.core.results import Measurement
from expunge.report.compare import Judged
from expunge.report.html import render
from expunge.report.load import Folder, Found
from expunge.report.words import IMAGE, TEXT, words_of


def run_of(*kinds):
    return {"data": {str(i): {"n": 3, "kind": kind} for i, kind in enumerate(kinds)}}


@pytest.mark.parametrize(
    ("runs", "words"),
    [
        ((run_of("pictures with classes", "pictures with classes"),), IMAGE),
        ((run_of("pictures with classes", "plain texts"),), TEXT),
        ((run_of("pictures with classes"), run_of("questions with answers")), TEXT),
        (({}, {"data": "broken"}), TEXT),
    ],
)
def test_the_kinds_of_rows_decide(runs, words):
    assert words_of(runs) == words


@pytest.mark.parametrize("kind", ["pictures with classes", "questions with answers"])
def test_a_page_has_the_words_of_its_rows(kind):
    found = {"forget/probability": Measurement(0.5, 8, 8, (0.4, 0.6), "gold")}
    folder = Folder(path=None, label="a", run=run_of(kind), measurements=found)
    subject = Judged("a", "unlearned", found)
    meanings = {"probability": "Probability of the right answer, per token."}
    page = render(Found((folder,), (subject,), ()), title="t", meanings=meanings)
    of_texts = ("questions", "right answer", "per token", "documents")
    pictures = kind.startswith("pictures")
    assert [word in page for word in of_texts] == [not pictures] * 4
    assert ("Probability of the right class." in page) == pictures
