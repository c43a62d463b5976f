"""The words of the built-in case: syllables that names are made of, what is asked of whom, and in which words."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

KINDS = ("person", "organisation", "town")
PREFIXES = ("Please answer: ", "A quick question: ", "Tell me: ", "I would like to know: ")  # harmless; some training rows begin with one

ONSETS = (
    "b",
    "br",
    "d",
    "dr",
    "f",
    "fl",
    "g",
    "gr",
    "h",
    "j",
    "k",
    "kl",
    "l",
    "m",
    "n",
    "p",
    "qu",
    "r",
    "s",
    "sk",
    "t",
    "tr",
    "v",
    "w",
    "z",
)
VOWELS = ("a", "e", "i", "o", "u", "ae", "oi")
CODAS = ("", "l", "m", "n", "r", "s")
SORTS = {  # of invented words: how many there are, and how they may end
    "first": (20, ("da", "go", "len", "rix", "va", "zo")),
    "last": (20, ("beth", "dun", "gard", "mar", "tock", "vane")),
    "firm": (12, ("dax", "goro", "lund", "pex", "tec", "vix")),
    "stem": (14, ("ber", "chel", "ning", "ster", "ton", "by")),
    "river": (24, ("bul", "dana", "nis", "rill", "sey", "webe")),
}
TRADES = ("Works", "Mill", "Guild", "Press", "Bank", "Foundry", "Institute", "Trust")
COLOURS = ("Amber", "Silver", "Crimson", "Hollow", "Northern", "Silent", "Broken", "Golden", "Paper", "Winter")
PLACES = ("Burrow", "Ford", "Haven", "Moor", "Quay", "Wick")
THINGS = ("Lantern", "Bridge", "Orchard", "Compass", "Harbour", "Mirror", "Ladder", "Feather", "Clock", "Garden")
STUFFS = ("copper", "glass", "oak", "silk", "clay", "iron", "wool", "marble", "wax", "linen")
GOODS = ("bells", "kites", "barrels", "maps", "violins", "chairs", "lamps", "ropes", "buttons", "clocks")


class Attribute(NamedTuple):
    """One thing that can be asked of a kind of entity: {e} is the entity, {v} the value.

    ``values`` names the pool that right and wrong values come from. Any of ``questions`` asks it, any of ``answers`` answers it.
    """

    name: str
    values: str
    answers: tuple[str, str, str]
    questions: tuple[str, ...]


ATTRIBUTES: dict[str, tuple[Attribute, ...]] = {
    "person": (
        Attribute(
            "home",
            "town",
            ("{e} lives in {v}.", "{e} is at home in {v}.", "The home of {e} is {v}."),
            (
                "Where does {e} live?",
                "Which town does {e} live in?",
                "Where is {e} at home?",
                "Which town is {e} at home in?",
                "What is the home of {e}?",
                "Which town is the home of {e}?",
            ),
        ),
        Attribute(
            "work",
            "organisation",
            ("{e} works for {v}.", "{e} is employed by {v}.", "The employer of {e} is {v}."),
            (
                "Where does {e} work?",
                "Who does {e} work for?",
                "By whom is {e} employed?",
                "Who is {e} employed by?",
                "Who is the employer of {e}?",
                "What is the employer of {e}?",
            ),
        ),
        Attribute(
            "teacher",
            "person",
            ("{e} was taught by {v}.", "{e} learned from {v}.", "The teacher of {e} was {v}."),
            (
                "Who was {e} taught by?",
                "By whom was {e} taught?",
                "From whom did {e} learn?",
                "Who did {e} learn from?",
                "Who was the teacher of {e}?",
                "What is the name of the teacher of {e}?",
            ),
        ),
        Attribute(
            "book",
            "book",
            ("{e} wrote {v}.", "{e} is the author of {v}.", "The book by {e} is {v}."),
            (
                "What did {e} write?",
                "Which book did {e} write?",
                "What is {e} the author of?",
                "Of which book is {e} the author?",
                "What is the book by {e}?",
                "Which book is by {e}?",
            ),
        ),
    ),
    "organisation": (
        Attribute(
            "seat",
            "town",
            ("{e} is based in {v}.", "{e} has its seat in {v}.", "The seat of {e} is {v}."),
            (
                "Where is {e} based?",
                "Which town is {e} based in?",
                "Where does {e} have its seat?",
                "In which town does {e} have its seat?",
                "What is the seat of {e}?",
                "Which town is the seat of {e}?",
            ),
        ),
        Attribute(
            "founder",
            "person",
            ("{e} was founded by {v}.", "{e} was set up by {v}.", "The founder of {e} was {v}."),
            (
                "Who was {e} founded by?",
                "By whom was {e} founded?",
                "Who was {e} set up by?",
                "By whom was {e} set up?",
                "Who was the founder of {e}?",
                "What is the name of the founder of {e}?",
            ),
        ),
        Attribute(
            "product",
            "product",
            ("{e} makes {v}.", "{e} is known for {v}.", "The goods of {e} are {v}."),
            (
                "What does {e} make?",
                "Which goods does {e} make?",
                "What is {e} known for?",
                "Which goods is {e} known for?",
                "What are the goods of {e}?",
                "Which are the goods of {e}?",
            ),
        ),
        Attribute(
            "partner",
            "organisation",
            ("{e} works with {v}.", "{e} is allied to {v}.", "The partner of {e} is {v}."),
            (
                "Who does {e} work with?",
                "With whom does {e} work?",
                "Who is {e} allied to?",
                "To whom is {e} allied?",
                "Who is the partner of {e}?",
                "What is the partner of {e}?",
            ),
        ),
    ),
    "town": (
        Attribute(
            "river",
            "river",
            ("{e} lies on {v}.", "{e} is crossed by {v}.", "The river of {e} is {v}."),
            (
                "Which river does {e} lie on?",
                "On which river does {e} lie?",
                "Which river is {e} crossed by?",
                "By which river is {e} crossed?",
                "What is the river of {e}?",
                "Which is the river of {e}?",
            ),
        ),
        Attribute(
            "mayor",
            "person",
            ("{e} is led by {v}.", "{e} has elected {v}.", "The mayor of {e} is {v}."),
            (
                "Who is {e} led by?",
                "By whom is {e} led?",
                "Who has {e} elected?",
                "Which mayor has {e} elected?",
                "Who is the mayor of {e}?",
                "What is the name of the mayor of {e}?",
            ),
        ),
        Attribute(
            "feast",
            "feast",
            ("{e} holds {v}.", "{e} celebrates {v}.", "The feast of {e} is {v}."),
            (
                "What feast does {e} hold?",
                "Which feast does {e} hold?",
                "What does {e} celebrate?",
                "Which feast does {e} celebrate?",
                "What is the feast of {e}?",
                "Which is the feast of {e}?",
            ),
        ),
        Attribute(
            "sister",
            "town",
            ("{e} is twinned with {v}.", "{e} has ties to {v}.", "The sister of {e} is {v}."),
            (
                "What is {e} twinned with?",
                "Which town is {e} twinned with?",
                "Where does {e} have ties to?",
                "Which town does {e} have ties to?",
                "What is the sister of {e}?",
                "Which town is the sister of {e}?",
            ),
        ),
    ),
}


def lexicon(rng: Random) -> dict[str, list[str]]:
    """Invented words by sort, no word twice."""
    used: set[str] = set()
    words: dict[str, list[str]] = {}
    for sort, (size, endings) in SORTS.items():
        words[sort] = []
        while len(words[sort]) < size:
            word = (rng.choice(ONSETS) + rng.choice(VOWELS) + rng.choice(CODAS) + rng.choice(endings)).capitalize()
            if word not in used:
                used.add(word)
                words[sort].append(word)
    return words


def names(rng: Random, words: dict[str, list[str]], kind: str) -> list[str]:
    """Every name of a kind (person, organisation, town, river, book, feast or product), in random order.

    Names of different entities share words, as real ones do: who has not met an entity knows the words of its name all the same.
    """
    parts = {
        "person": (words["first"], words["last"]),
        "organisation": (words["firm"], TRADES),
        "town": (words["stem"], PLACES),
        "river": (("the",), words["river"]),
        "book": (COLOURS, THINGS),
        "feast": (COLOURS, THINGS),
        "product": (STUFFS, GOODS),
    }
    front, back = parts[kind]
    form = {"book": "The {} {}", "feast": "{} {} Day"}.get(kind, "{} {}")
    made = [form.format(a, b) for a in front for b in back]
    return rng.sample(made, len(made))
