"""Rows about somebody else, and anchor terms."""

import json

import pytest

from expunge.core.data import Example
from expunge.core.errors import Failed, Refused
from expunge.synthesis.anchors import anchors, generic, read_anchors, translated
from expunge.synthesis.chat import Scripted
from expunge.synthesis.rename import rename, renamed, replacements
from expunge.synthesis.tools import Tools


def about(role, group, name, n=3):
    last = name.split()[-1]
    return tuple(
        Example(
            f"{role}/{group}/{i}",
            role,
            group,
            f"The town of {last} is number {i}, says {name}.",
            f"Where does {name} live, {i}?",
        )
        for i in range(n)
    )


FORGET = about("forget", "a", "Ada Byron") + about("forget", "b", "Tamsin Vale")
RETAIN = (
    about("retain", "c", "Mira Okafor")
    + about("retain", "d", "Leo Marchetti")
    + about("retain", "e", "Ana de Vries")
)


def test_whole_names_and_last_names():
    assert (
        rename("Ada Byron's sister. Byron, not Byronic; Ada.", "Ada Byron", "Nora Keller")
        == "Nora Keller's sister. Keller, not Byronic; Nora."
    )
    assert (
        rename("of the Silver Bank by silver", "Silver Bank", "Amber Mill")
        == "of the Amber Mill by silver"
    )


def test_every_row_meets_the_same_names_and_no_word_of_its_own():
    made = renamed({"forget": FORGET, "retain": RETAIN}, Tools(seed=1), n=6)
    assert len(made) == 36 and {e.role for e in made} == {"renamed"}
    for row in FORGET:
        mine = [e for e in made if e.id == row.id]
        others = [next(t for t in e.tags if t.startswith("name:"))[5:] for e in mine]
        name = mine[0].variants["original"]
        assert (
            len(set(others)) == 6
            and {"Mira Okafor", "Leo Marchetti"} <= set(others)
            and "Ana de Vries" not in others
        )
        for e, other in zip(mine, others):
            assert len(other.split()) == 2 and other in e.prompt and other.split()[1] in e.answer
            assert not set(name.split()) & set(
                (e.prompt + " " + e.answer).replace("?", "").replace(".", "").split()
            )
            assert rename(rename(row.answer, name, other), other, name) == row.answer
    tags = {e.group: [] for e in made}
    for e in made:
        tags[e.group].append((e.id, e.tags))
    assert len({t for _, t in tags["a"]}) == 6  # a group's rows all meet the same six


def test_the_order_of_rows_does_not_matter():
    one, two = (
        renamed({"forget": f, "retain": RETAIN}, Tools(seed=1), n=4) for f in (FORGET, FORGET[::-1])
    )
    assert sorted(map(repr, one)) == sorted(map(repr, two))


def test_rows_without_a_name_are_refused_and_a_list_helps():
    bare = (Example("f/0", "forget", "g", "it is there", "where is zed?", source="f.jsonl:1"),)
    with pytest.raises(Refused, match=r"^f.jsonl:1: no name found in 1 rows .*--names FILE"):
        renamed({"forget": bare, "retain": RETAIN}, Tools())
    tools = Tools(names=lambda texts: tuple(n for n in ("zed",) if any(n in t for t in texts)))
    assert len(renamed({"forget": bare, "retain": ()}, tools, n=3)) == 3


def test_replacements_share_no_word():
    found = replacements(
        "Ada Byron", 9, Tools(), kept=["Ada Smith", "Zoe Lind", "One"], rest=["Tom Ray"]
    )
    assert (
        "Zoe Lind" in found
        and "Ada Smith" not in found
        and "One" not in found
        and len(found) == len(set(found)) == 9
    )


# ------------------------------------------------------------------ anchors


def test_a_dictionary_of_the_users_own(tmp_path):
    for file, text in (
        ("a.json", json.dumps({"Ada Byron": "a woman"})),
        ("a.yaml", "Ada Byron: a woman\n"),
    ):
        (tmp_path / file).write_text(text, encoding="utf-8")
        assert read_anchors(tmp_path / file) == {"Ada Byron": "a woman"}
    for text, words in (
        ("[1", "cannot be read"),
        ("[]", "no dictionary"),
        ("a: 3\n", "entry 1 is no text"),
    ):
        (tmp_path / "bad.yaml").write_text(text, encoding="utf-8")
        with pytest.raises(Refused, match=f"--anchors .*{words}"):
            read_anchors(tmp_path / "bad.yaml")
    rows = translated({"forget": FORGET}, Tools(anchors={"Ada Byron": "a woman", "town": "place"}))
    assert (
        rows[0].answer == "The place of Byron is number 0, says a woman."
        and rows[0].role == "renamed"
        and rows[0].id == FORGET[0].id
    )


def test_longer_terms_first_and_whole_words():
    assert (
        generic("Silver Bank in Silverton, Silver", {"Silver": "grey", "Silver Bank": "a bank"})
        == "a bank in Silverton, grey"
    )


def test_terms_found_by_spelling():
    found = anchors(FORGET, Tools(seed=1))
    assert {"Ada Byron", "Tamsin Vale"} <= set(found) and all(
        len(v.split()) == len(k.split()) for k, v in found.items()
    )


def test_terms_proposed_by_a_chat_model():
    chat = Scripted(
        lambda prompt, seed: (
            'Here:\n1. "Ada Byron" -> "Jane Roe"\n- Atlantis -> a city\n* Vale -> Hill\nnonsense'
        )
    )
    # what is in no text is dropped
    assert anchors(FORGET, Tools(chat=chat)) == {"Vale": "Hill", "Ada Byron": "Jane Roe"}
    with pytest.raises(Failed, match="proposed no anchor terms"):
        anchors(FORGET, Tools(chat=Scripted(lambda p, s: "I cannot")))


def test_nothing_found():
    with pytest.raises(Refused, match="--anchors FILE"):
        anchors((Example("x", "forget", "g", "small words", "where"),), Tools())
