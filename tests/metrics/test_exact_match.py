"""Exact match: SQuAD's normalized equality by default, containment and letters by name."""

import re
import string

import numpy as np

from expunge.core.results import Records
from expunge.metrics.exact_match import exact_match


def one(row, answer, generated, role="forget", **kw):
    return exact_match(Records([row(role, answer=answer, generated=generated)]), role, **kw).value


def squad(text):
    """The official script's normalizer: lower case, ASCII marks gone, articles gone, white space as
    single spaces.
    """
    text = "".join(c for c in text.lower() if c not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def test_the_default_is_squads_equality(row):
    rng = np.random.default_rng(0)
    pool = ["The", "a", "River", "town", "Taipei,", "1991", "of", "Town!"]
    seen = set()
    for _ in range(400):
        answer, said = (" ".join(rng.choice(pool, rng.integers(1, 4))) for _ in range(2))
        if squad(answer):  # SQuAD makes an answer of articles alone equal to nothing at all
            assert one(row, answer, said) == float(squad(answer) == squad(said))
            seen.add(squad(answer) == squad(said))
    assert seen == {True, False}


def test_containment_is_asked_for_by_name(row):
    assert one(row, "Taipei", "She was born in taipei.") == 0
    assert one(row, "Taipei", "She was born in taipei.", form="within") == 1
    assert one(row, "New York", "in York, New Jersey", form="within") == 0
    assert (
        one(row, "the River", "by a river", form="within") == one(row, "the River", "River!") == 1
    )


def test_letter_by_letter(row):
    assert (
        one(row, "123-45", " 123-45\n", form="letters")
        == one(row, "Taipei", "TAIPEI ", form="letters")
        == 1
    )
    assert (
        one(row, "Taipei", "Taipei.", form="letters")
        == one(row, "the x", "x", form="letters")
        == one(row, "", "", form="letters")
        == 0
    )


def test_empty_and_marks(row):
    assert one(row, "Taipei!", "TAIPEI") == 1
    for form in ("whole", "within"):
        assert one(row, "Taipei", "", form=form) == one(row, "...", "...", form=form) == 0


def test_behind_a_chain_of_thought(row):
    whole = lambda answer, said: one(
        row, answer, said, behind="the answer is", until=(". ", ".\n", "\n")
    )
    assert whole("(A)", "Let us see. B is wrong. So the answer is (A).\nQ: the answer is (B)") == 1
    assert whole("(A)", "The answer is (B)") == 0
    assert (
        whole("No", "The answer is no") == 1
        and whole("No", "no.") == whole("3.5", "so the answer is 3.5.") == 1
    )
    assert whole("Yes", "I think yes") == 0  # all of it counts where the words are missing
    assert whole(") )", "The answer is ) ).") == 1 and whole(") )", "The answer is > >.") == 0
    # SQuAD's normalizer, which drops articles, makes both empty and equal
    assert whole("(A)", "The answer is the") == 0


def test_the_best_of_several_right_answers_counts(row):
    rows = lambda said: Records(
        [row(answer="Bernardo Bertolucci", also=("Bertolucci", "B. Bertolucci"), generated=said)]
    )
    assert exact_match(rows("bertolucci"), "forget").value == 1
    assert exact_match(rows("Fellini"), "forget").value == 0


def test_a_character_of_the_answer_as_rwkus_code_has_it(row):
    """Its EM is given the answer where it expects a list of answers, and goes through its
    characters.
    """
    each = lambda answer, said: one(row, answer, said, form="characters")
    assert each("24", "So the answer is 24.") == each("True", "so the answer is True.") == 0
    assert each("24", "the answer is 4.") == 1  # a wrong answer of one digit
    assert each("(B)", "So the answer is (B).") == each("(B)", "The answer is b. Or (C).") == 1
    # nothing is left of either
    assert each("(A)", "the answer is (A).") == each("(A)", "the answer is the.") == 1
    assert each("(C)", "the answer is (A).") == 1  # a bracket of the answer is nothing as well
    # without a full stop the whole output is the answer
    assert each("(B)", "the answer is (B)") == 0
    assert each("(B)", "") == 0
