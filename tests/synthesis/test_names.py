"""Names: found by their spelling, or listed by the user."""

import time

import pytest

from expunge.core.data import Example
from expunge.core.errors import Refused
from expunge.synthesis.names import find, listed_names, places, subjects


def test_names_inside_sentences_and_at_their_beginning():
    texts = [
        "Ada Byron was born in London. The writer Ada Byron knew Charles de Vries.",
        "Her friend from New York City, Tae-ho Park, came later. Reading pleased him.",
        "Mira Okafor's first book was well received.",
    ]
    found = find(texts)
    assert found[0] == "Ada Byron"
    assert set(found) == {
        "Ada Byron",
        "London",
        "Charles de Vries",
        "New York City",
        "Tae-ho Park",
        "Mira Okafor",
    }


def test_sentence_beginnings_and_question_words_are_no_names():
    assert find(
        ["Who is she? What did the author write? The Book was long. In March she left."]
    ) == ("Book",)
    assert find(["Books sell well. Good books sell."]) == ()


def test_a_part_of_a_longer_name_does_not_count_alone():
    assert find(["the poet Ada Byron. He met Byron and saw Ada there."]) == ("Ada Byron",)


def test_places_are_whole_words_the_longest_first():
    text = "Ada Byron met Ada; Adam did not."
    assert [text[a:b] for a, b in places(text, ["Ada", "Ada Byron"])] == ["Ada Byron", "Ada"]


def test_what_a_group_is_about():
    rows = [
        Example("1", "forget", "g", "Ada Byron lives in Rome.", "Where does Ada Byron live?"),
        Example("2", "forget", "g", "It was written by Ada Byron in Rome.", "Who wrote it?"),
        Example("3", "forget", "h", "nothing here", "and here?"),
    ]
    assert subjects(rows, find) == {"g": "Ada Byron", "h": ""}


def test_a_list_of_names(tmp_path):
    file = tmp_path / "names.txt"
    file.write_text("# people\nada byron\nZoe\n\nnobody\n", encoding="utf-8")
    assert listed_names(file)(["so ada byron met Zoe, and Zoe left"]) == ("Zoe", "ada byron")
    file.write_text("\n", encoding="utf-8")
    with pytest.raises(Refused, match="no name in it"):
        listed_names(file)
    with pytest.raises(Refused, match=r"--names .*cannot be read"):
        listed_names(tmp_path / "none.txt")


def took(act):
    began = time.process_time()
    act()
    return time.process_time() - began


def test_time_grows_with_the_texts_and_not_with_their_square():
    prose = (
        "The quick fox of London met Ada Lovelace in the Valley of Kings. He said that Bromlen "
        "Fanvane lives. " * 640
    )
    # four times as long
    short, long = took(lambda: find([prose[:16_000]])), took(lambda: find([prose]))
    assert long < 10 * short + 0.2
    rows = lambda n: [
        Example(
            f"f/{i}", "forget", f"f/{i}", f"Zorblat{i} dwells.", f"Where does Zorblat{i} dwell?"
        )
        for i in range(n)
    ]
    few, many = took(lambda: subjects(rows(500), find)), took(lambda: subjects(rows(2000), find))
    assert many < 10 * few + 0.2
    assert subjects(rows(3), find) == {f"f/{i}": f"Zorblat{i}" for i in range(3)}


def test_a_text_in_capitals_is_no_name():
    shouted = "Ada Byron " * 20_000
    assert took(lambda: find([shouted])) < 2
    assert find([shouted, "the poet Ada Byron"]) == ("Ada Byron",)


def test_many_names_that_share_a_word(tmp_path):
    (tmp_path / "n.txt").write_text("\n".join(f"Zorblat N{i}" for i in range(3000)))
    texts = [f"Here is Zorblat N{i}, not XZorblat N{i} nor Zorblat N{i}a." for i in range(3000)]
    found = listed_names(tmp_path / "n.txt")
    assert took(lambda: found(texts)) < 2
    assert set(found(texts[:4])) == {f"Zorblat N{i}" for i in range(4)}


def test_names_may_begin_and_end_with_signs(tmp_path):
    (tmp_path / "n.txt").write_text("(Ada)\n🐓\n")
    assert set(listed_names(tmp_path / "n.txt")(["x (Ada), 🐓🐓"])) == {"(Ada)", "🐓"}
    assert places("a 🐓🐓", ["🐓"]) == [(2, 3), (3, 4)]
