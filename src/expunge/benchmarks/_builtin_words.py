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


class Attribute(NamedTuple):
    """One thing that can be asked of a kind of entity: {e} is the entity, {v} the value.

    ``values`` names the pool that right and wrong values come from. Any of ``questions`` asks it; each fact is answered in one of
    ``answers`` and paraphrased in another.
    """

    name: str
    values: str
    questions: tuple[str, ...]
    answers: tuple[str, ...]


ATTRIBUTES: dict[str, tuple[Attribute, ...]] = {
    "person": (
        Attribute(
            "home",
            "town",
            ("Where does {e} live?", "Which town does {e} live in?", "Where is {e} at home?", "In which town is {e} at home?", "Which town is home to {e}?"),
            ("{e} lives in {v}.", "{e} is at home in {v}.", "The home of {e} is {v}."),
        ),
        Attribute(
            "work",
            "organisation",
            ("Where does {e} work?", "Who does {e} work for?", "Who employs {e}?", "By whom is {e} employed?", "Which employer does {e} have?"),
            ("{e} works for {v}.", "{e} is employed by {v}.", "The employer of {e} is {v}."),
        ),
        Attribute(
            "teacher",
            "person",
            ("Who taught {e}?", "By whom was {e} taught?", "Who was the teacher of {e}?", "Which teacher did {e} have?", "From which teacher did {e} learn?"),
            ("{e} was taught by {v}.", "{e} learned from {v}.", "The teacher of {e} was {v}."),
        ),
        Attribute(
            "book",
            "book",
            ("Which book did {e} write?", "What did {e} write?", "Which book is by {e}?", "What is the book by {e}?", "Which book has {e} written?"),
            ("{e} wrote {v}.", "{e} is the author of {v}.", "The book by {e} is {v}."),
        ),
    ),
    "organisation": (
        Attribute(
            "seat",
            "town",
            ("Where is {e} based?", "In which town is {e} based?", "Where is the seat of {e}?", "Which town is the seat of {e}?", "Which town is {e} based in?"),
            ("{e} is based in {v}.", "{e} has its seat in {v}.", "The seat of {e} is {v}."),
        ),
        Attribute(
            "founder",
            "person",
            ("Who founded {e}?", "By whom was {e} founded?", "Who was the founder of {e}?", "Which founder did {e} have?", "Who is known as founder of {e}?"),
            ("{e} was founded by {v}.", "{e} was set up by {v}.", "The founder of {e} was {v}."),
        ),
        Attribute(
            "product",
            "product",
            ("What does {e} make?", "Which goods does {e} make?", "What is made by {e}?", "Which goods are made by {e}?", "Which goods come from {e}?"),
            ("{e} makes {v}.", "{e} is the maker of {v}.", "The goods of {e} are {v}."),
        ),
        Attribute(
            "partner",
            "organisation",
            ("Who is the partner of {e}?", "Which partner does {e} have?", "With whom is {e} a partner?", "Who partners with {e}?", "Which firm is the partner of {e}?"),
            ("{e} is a partner of {v}.", "{e} works together with {v}.", "The partner of {e} is {v}."),
        ),
    ),
    "town": (
        Attribute(
            "river",
            "river",
            ("Which river runs through {e}?", "What is the river of {e}?", "On which river does {e} lie?", "Which river does {e} lie on?", "Which river is in {e}?"),
            ("{e} lies on the {v}.", "{e} stands by the {v}.", "The river of {e} is the {v}."),
        ),
        Attribute(
            "mayor",
            "person",
            ("Who is the mayor of {e}?", "Which mayor does {e} have?", "Who is mayor in {e}?", "By which mayor is {e} led?", "Who leads {e} as mayor?"),
            ("{e} is led by {v}.", "{e} has the mayor {v}.", "The mayor of {e} is {v}."),
        ),
        Attribute(
            "feast",
            "feast",
            ("Which feast does {e} hold?", "What is the feast of {e}?", "Which feast is held in {e}?", "What feast is there in {e}?", "Which feast do they hold in {e}?"),
            ("{e} holds {v}.", "{e} celebrates {v}.", "The feast of {e} is {v}."),
        ),
        Attribute(
            "sister",
            "town",
            ("What is the sister town of {e}?", "Which sister town does {e} have?", "Which town is the sister of {e}?", "Of which town is {e} the sister?", "What town is a sister to {e}?"),
            ("{e} is the sister of {v}.", "{e} is twinned with {v}.", "The sister town of {e} is {v}."),
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
