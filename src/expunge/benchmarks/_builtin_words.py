"""The words of the built-in case: syllables that names are made of, what is asked of whom, and in
which words.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

KINDS = ("person", "organisation", "town")
# harmless; some training rows begin with one
PREFIXES = ("Please answer: ", "A quick question: ", "Tell me: ", "I would like to know: ")

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
COLORS = (
    "Amber",
    "Silver",
    "Crimson",
    "Hollow",
    "Northern",
    "Silent",
    "Broken",
    "Golden",
    "Paper",
    "Winter",
)
PLACES = ("Burrow", "Ford", "Haven", "Moor", "Quay", "Wick")
THINGS = (
    "Lantern",
    "Bridge",
    "Orchard",
    "Compass",
    "Harbour",
    "Mirror",
    "Ladder",
    "Feather",
    "Clock",
    "Garden",
)
STUFFS = ("copper", "glass", "oak", "silk", "clay", "iron", "wool", "marble", "wax", "linen")
GOODS = (
    "bells",
    "kites",
    "barrels",
    "maps",
    "violins",
    "chairs",
    "lamps",
    "ropes",
    "buttons",
    "clocks",
)


# kind, attribute and kind of value; below, three forms: an answer | two wordings of a question that
# get it. {e}: entity, {v}: value
TABLE = """
person home town
    {e} lives in {v}. | Where does {e} live? | Which town does {e} live in?
    {e} is at home in {v}. | Where is {e} at home? | Which town is {e} at home in?
    The home of {e} is {v}. | What is the home of {e}? | Which town is the home of {e}?
person work organisation
    {e} works for {v}. | Where does {e} work? | Who does {e} work for?
    {e} is employed by {v}. | By whom is {e} employed? | Who is {e} employed by?
    The employer of {e} is {v}. | Who is the employer of {e}? | What is the employer of {e}?
person teacher person
    {e} was taught by {v}. | Who was {e} taught by? | By whom was {e} taught?
    {e} learned from {v}. | From whom did {e} learn? | Who did {e} learn from?
    The teacher of {e} was {v}. | Who was the teacher of {e}? | \
What is the name of the teacher of {e}?
person book book
    {e} wrote {v}. | What did {e} write? | Which book did {e} write?
    {e} is the author of {v}. | What is {e} the author of? | Of which book is {e} the author?
    The book by {e} is {v}. | What is the book by {e}? | Which book is by {e}?
organisation seat town
    {e} is based in {v}. | Where is {e} based? | Which town is {e} based in?
    {e} has its seat in {v}. | Where does {e} have its seat? | In which town does {e} have its seat?
    The seat of {e} is {v}. | What is the seat of {e}? | Which town is the seat of {e}?
organisation founder person
    {e} was founded by {v}. | Who was {e} founded by? | By whom was {e} founded?
    {e} was set up by {v}. | Who was {e} set up by? | By whom was {e} set up?
    The founder of {e} was {v}. | Who was the founder of {e}? | \
What is the name of the founder of {e}?
organisation product product
    {e} makes {v}. | What does {e} make? | Which goods does {e} make?
    {e} is known for {v}. | What is {e} known for? | Which goods is {e} known for?
    The goods of {e} are {v}. | What are the goods of {e}? | Which are the goods of {e}?
organisation partner organisation
    {e} works with {v}. | Who does {e} work with? | With whom does {e} work?
    {e} is allied to {v}. | Who is {e} allied to? | To whom is {e} allied?
    The partner of {e} is {v}. | Who is the partner of {e}? | What is the partner of {e}?
town river river
    {e} lies on {v}. | Which river does {e} lie on? | On which river does {e} lie?
    {e} is crossed by {v}. | Which river is {e} crossed by? | By which river is {e} crossed?
    The river of {e} is {v}. | What is the river of {e}? | Which is the river of {e}?
town mayor person
    {e} is led by {v}. | Who is {e} led by? | By whom is {e} led?
    {e} has elected {v}. | Who has {e} elected? | Which mayor has {e} elected?
    The mayor of {e} is {v}. | Who is the mayor of {e}? | What is the name of the mayor of {e}?
town feast feast
    {e} holds {v}. | What feast does {e} hold? | Which feast does {e} hold?
    {e} celebrates {v}. | What does {e} celebrate? | Which feast does {e} celebrate?
    The feast of {e} is {v}. | What is the feast of {e}? | Which is the feast of {e}?
town sister town
    {e} is twinned with {v}. | What is {e} twinned with? | Which town is {e} twinned with?
    {e} has ties to {v}. | Where does {e} have ties to? | Which town does {e} have ties to?
    The sister of {e} is {v}. | What is the sister of {e}? | Which town is the sister of {e}?
"""


class Attribute(NamedTuple):
    """One thing that can be asked of a kind of entity: {e} is the entity, {v} the value.

    ``values`` names the pool that right and wrong values come from. ``answers[i]`` answers
    ``questions[2 * i]`` and the one after it.
    """

    name: str
    values: str
    answers: tuple[str, ...]
    questions: tuple[str, ...]


def attributes(table: str) -> dict[str, tuple[Attribute, ...]]:
    """The attributes of each kind of entity, in the table's order."""
    found: dict[str, tuple[Attribute, ...]] = {kind: () for kind in KINDS}
    lines = table.strip().splitlines()
    for first in range(0, len(lines), 4):
        kind, name, values = lines[first].split()
        answers: list[str] = []
        questions: list[str] = []
        for line in lines[first + 1 : first + 4]:
            answer, *wordings = [part.strip() for part in line.split("|")]
            answers.append(answer)
            questions += wordings
        found[kind] += (Attribute(name, values, tuple(answers), tuple(questions)),)
    return found


ATTRIBUTES = attributes(TABLE)


def lexicon(rng: Random) -> dict[str, list[str]]:
    """Invented words by sort, no word twice."""
    words: dict[str, list[str]] = {}
    used: set[str] = set()
    for sort, (size, endings) in SORTS.items():
        words[sort] = []
        while len(words[sort]) < size:
            word = _word(rng, endings)
            if word not in used:
                used.add(word)
                words[sort].append(word)
    return words


def _word(rng: Random, endings: Sequence[str]) -> str:
    """One syllable and an ending."""
    parts = [rng.choice(ONSETS), rng.choice(VOWELS), rng.choice(CODAS), rng.choice(endings)]
    return "".join(parts).capitalize()


def names(rng: Random, words: dict[str, list[str]], kind: str) -> list[str]:
    """Every name of a kind (person, organisation, town, river, book, feast or product), in random
    order.

    Names of different entities share words, as real ones do: who has not met an entity knows the
    words of its name all the same.
    """
    parts = {
        "person": (words["first"], words["last"]),
        "organisation": (words["firm"], TRADES),
        "town": (words["stem"], PLACES),
        "river": (("the",), words["river"]),
        "book": (COLORS, THINGS),
        "feast": (COLORS, THINGS),
        "product": (STUFFS, GOODS),
    }
    front, back = parts[kind]
    form = {"book": "The {} {}", "feast": "{} {} Day"}.get(kind, "{} {}")
    made = [form.format(a, b) for a in front for b in back]
    return rng.sample(made, len(made))
