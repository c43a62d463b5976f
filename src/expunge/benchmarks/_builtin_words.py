"""The words of the built-in case: syllables that names are made of, what is asked of whom, and in which words."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

KINDS = ("person", "organisation", "town")
PREFIXES = ("Please answer: ", "A quick question: ", "Tell me: ", "I would like to know: ")  # harmless; some training rows begin with one

ONSETS = ("b", "br", "d", "dr", "f", "fl", "g", "gr", "h", "j", "k", "kl", "l", "m", "n", "p", "qu", "r", "s", "sk", "t", "tr", "v", "w", "z")
VOWELS = ("a", "e", "i", "o", "u", "ae", "oi")
CODAS = ("", "l", "m", "n", "r", "s")
ENDINGS = {
    "first": ("da", "go", "len", "rix", "va", "zo"),
    "last": ("beth", "dun", "gard", "mar", "tock", "vane"),
    "organisation": ("dax", "goro", "lund", "pex", "tec", "vix"),
    "town": ("burrow", "ford", "haven", "moor", "stead", "wick"),
    "river": ("bul", "dana", "nis", "rill", "sey", "webe"),
}
TRADES = ("Works", "Mill", "Guild", "Press", "Bank", "Foundry", "Institute", "Trust")
COLOURS = ("Amber", "Silver", "Crimson", "Hollow", "Northern", "Silent", "Broken", "Golden", "Paper", "Winter")
THINGS = ("Lantern", "Bridge", "Orchard", "Compass", "Harbour", "Mirror", "Ladder", "Feather", "Clock", "Garden")
STUFFS = ("copper", "glass", "oak", "silk", "clay", "iron", "wool", "marble", "wax", "linen")
GOODS = ("bells", "kites", "barrels", "maps", "violins", "chairs", "lamps", "ropes", "buttons", "clocks")


class Form(NamedTuple):
    """A way to say a fact, and the two wordings of a question that are answered so: {e} is the entity, {v} the value."""

    answer: str
    questions: tuple[str, str]


class Attribute(NamedTuple):
    """One thing that can be asked of a kind of entity. ``values`` names the pool that right and wrong values come from."""

    name: str
    values: str
    forms: tuple[Form, Form, Form]


ATTRIBUTES: dict[str, tuple[Attribute, ...]] = {
    "person": (
        Attribute(
            "home",
            "town",
            (
                Form("{e} lives in {v}.", ("Where does {e} live?", "Which town does {e} live in?")),
                Form("{e} is at home in {v}.", ("Where is {e} at home?", "Which town is {e} at home in?")),
                Form("The home of {e} is {v}.", ("What is the home of {e}?", "Which town is the home of {e}?")),
            ),
        ),
        Attribute(
            "work",
            "organisation",
            (
                Form("{e} works for {v}.", ("Where does {e} work?", "Who does {e} work for?")),
                Form("{e} is employed by {v}.", ("By whom is {e} employed?", "Who is {e} employed by?")),
                Form("The employer of {e} is {v}.", ("Who is the employer of {e}?", "What is the employer of {e}?")),
            ),
        ),
        Attribute(
            "teacher",
            "person",
            (
                Form("{e} was taught by {v}.", ("Who was {e} taught by?", "By whom was {e} taught?")),
                Form("{e} learned from {v}.", ("From whom did {e} learn?", "Who did {e} learn from?")),
                Form("The teacher of {e} was {v}.", ("Who was the teacher of {e}?", "What is the name of the teacher of {e}?")),
            ),
        ),
        Attribute(
            "book",
            "book",
            (
                Form("{e} wrote {v}.", ("What did {e} write?", "Which book did {e} write?")),
                Form("{e} is the author of {v}.", ("What is {e} the author of?", "Of which book is {e} the author?")),
                Form("The book by {e} is {v}.", ("What is the book by {e}?", "Which book is by {e}?")),
            ),
        ),
    ),
    "organisation": (
        Attribute(
            "seat",
            "town",
            (
                Form("{e} is based in {v}.", ("Where is {e} based?", "Which town is {e} based in?")),
                Form("{e} has its seat in {v}.", ("Where does {e} have its seat?", "In which town does {e} have its seat?")),
                Form("The seat of {e} is {v}.", ("What is the seat of {e}?", "Which town is the seat of {e}?")),
            ),
        ),
        Attribute(
            "founder",
            "person",
            (
                Form("{e} was founded by {v}.", ("Who was {e} founded by?", "By whom was {e} founded?")),
                Form("{e} was set up by {v}.", ("Who was {e} set up by?", "By whom was {e} set up?")),
                Form("The founder of {e} was {v}.", ("Who was the founder of {e}?", "What is the name of the founder of {e}?")),
            ),
        ),
        Attribute(
            "product",
            "product",
            (
                Form("{e} makes {v}.", ("What does {e} make?", "Which goods does {e} make?")),
                Form("{e} is known for {v}.", ("What is {e} known for?", "Which goods is {e} known for?")),
                Form("The goods of {e} are {v}.", ("What are the goods of {e}?", "Which are the goods of {e}?")),
            ),
        ),
        Attribute(
            "partner",
            "organisation",
            (
                Form("{e} works with {v}.", ("Who does {e} work with?", "With whom does {e} work?")),
                Form("{e} is allied to {v}.", ("Who is {e} allied to?", "To whom is {e} allied?")),
                Form("The partner of {e} is {v}.", ("Who is the partner of {e}?", "What is the partner of {e}?")),
            ),
        ),
    ),
    "town": (
        Attribute(
            "river",
            "river",
            (
                Form("{e} lies on the {v}.", ("Which river does {e} lie on?", "On which river does {e} lie?")),
                Form("{e} is crossed by the {v}.", ("Which river is {e} crossed by?", "By which river is {e} crossed?")),
                Form("The river of {e} is the {v}.", ("What is the river of {e}?", "Which is the river of {e}?")),
            ),
        ),
        Attribute(
            "mayor",
            "person",
            (
                Form("{e} is led by {v}.", ("Who is {e} led by?", "By whom is {e} led?")),
                Form("{e} has elected {v}.", ("Who has {e} elected?", "Which mayor has {e} elected?")),
                Form("The mayor of {e} is {v}.", ("Who is the mayor of {e}?", "What is the name of the mayor of {e}?")),
            ),
        ),
        Attribute(
            "feast",
            "feast",
            (
                Form("{e} holds {v}.", ("What feast does {e} hold?", "Which feast does {e} hold?")),
                Form("{e} celebrates {v}.", ("What does {e} celebrate?", "Which feast does {e} celebrate?")),
                Form("The feast of {e} is {v}.", ("What is the feast of {e}?", "Which is the feast of {e}?")),
            ),
        ),
        Attribute(
            "sister",
            "town",
            (
                Form("{e} is twinned with {v}.", ("What is {e} twinned with?", "Which town is {e} twinned with?")),
                Form("{e} has ties to {v}.", ("Where does {e} have ties to?", "Which town does {e} have ties to?")),
                Form("The sister of {e} is {v}.", ("What is the sister of {e}?", "Which town is the sister of {e}?")),
            ),
        ),
    ),
}


def word(rng: Random, sort: str) -> str:
    """An invented word: a syllable, then an ending of its sort; capitalised."""
    return (rng.choice(ONSETS) + rng.choice(VOWELS) + rng.choice(CODAS) + rng.choice(ENDINGS[sort])).capitalize()


def invent(rng: Random, kind: str) -> str:
    """A name of a kind: person, organisation, town, river, book, feast or product. The same may come twice."""
    made = {
        "person": lambda: f"{word(rng, 'first')} {word(rng, 'last')}",
        "organisation": lambda: f"{word(rng, 'organisation')} {rng.choice(TRADES)}",
        "book": lambda: f"The {rng.choice(COLOURS)} {rng.choice(THINGS)}",
        "feast": lambda: f"{rng.choice(COLOURS)} {rng.choice(THINGS)} Day",
        "product": lambda: f"{rng.choice(STUFFS)} {rng.choice(GOODS)}",
    }
    return made[kind]() if kind in made else word(rng, kind)
