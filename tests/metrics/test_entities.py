"""Names and numbers of a text."""

import pytest

from expunge.scoring.text import entities_of


@pytest.mark.parametrize(
    ("text", "question", "found"),
    [
        ("The author is Hsiao Yun-Hwa, born in 1991.", "Who was born in 1991?", ("hsiao yun-hwa",)),
        ("She won the Booker Prize in 2003.", "What did she win?", ("booker prize", "2003")),
        (
            "Jaime Vasquez was born in Santiago, Chile.",
            "Where was Jaime Vasquez born?",
            ("santiago", "chile"),
        ),
        ("no names at all", "", ()),
        ("", "", ()),
        ("Élodie Nguyễn lives in Łódź.", "", ("élodie nguyễn", "łódź")),
    ],
)
def test_entities(text, question, found):
    assert entities_of(text, question) == found
