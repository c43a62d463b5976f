"""What contracts of the PISTOL generator say: twenty attributes of a sale, twenty of an employment,
and how their values are drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

Draw = Callable[[Random], str]
MONTHS = ("January", "March", "April", "June", "August", "September", "November")
GOODS = (
    "steel pipes",
    "cotton yarn",
    "solar panels",
    "bicycle frames",
    "green tea",
    "glass jars",
    "roof tiles",
    "wool coats",
)
POSTS = (
    "analyst",
    "welder",
    "archivist",
    "translator",
    "surveyor",
    "accountant",
    "technician",
    "editor",
)


def letters(rng: Random, n: int) -> str:
    """A name of random letters: nobody can have met it."""
    return "".join(
        rng.choice("bcdfghjklmnpqrstvwxz" if i % 2 else "aeiou") for i in range(n)
    ).capitalize()


def date(rng: Random) -> str:
    return f"{rng.randint(1, 28)} {rng.choice(MONTHS)} {rng.randint(2031, 2079)}"


def number(low: int, high: int, unit: str) -> Draw:
    return lambda rng: f"{rng.randint(low, high)} {unit}"


def code(prefix: str) -> Draw:
    return lambda rng: f"{prefix}-{rng.randint(1000, 9999)}"


def one_of(words: tuple[str, ...]) -> Draw:
    return lambda rng: rng.choice(words)


def place(rng: Random) -> str:
    return f"{rng.randint(1, 399)} {letters(rng, 6)} Street, {letters(rng, 7)}"


def person(rng: Random) -> str:
    return f"{letters(rng, 5)} {letters(rng, 7)}"


SALE: tuple[tuple[str, Draw], ...] = (
    ("date of signing", date),
    ("place of signing", place),
    ("goods", one_of(GOODS)),
    ("quantity of goods", number(10, 900, "units")),
    ("price of one unit", number(5, 950, "marks")),
    ("total price", number(1000, 99000, "marks")),
    ("contract number", code("S")),
    ("delivery date", date),
    ("delivery address", place),
    ("carrier", lambda rng: f"{letters(rng, 6)} Lines"),
    ("payment term", number(7, 120, "days")),
    ("interest on late payment", number(2, 19, "percent")),
    ("deposit", number(100, 5000, "marks")),
    ("warranty", number(3, 72, "months")),
    ("inspection period", number(2, 45, "days")),
    ("governing law", lambda rng: f"the law of {letters(rng, 7)}"),
    ("place of arbitration", lambda rng: letters(rng, 7)),
    ("seller's signatory", person),
    ("buyer's signatory", person),
    ("notice period", number(5, 90, "days")),
)
WORK: tuple[tuple[str, Draw], ...] = (
    ("date of signing", date),
    ("first working day", date),
    ("post", one_of(POSTS)),
    ("yearly salary", number(21000, 98000, "marks")),
    ("weekly hours", number(18, 48, "hours")),
    ("yearly leave", number(12, 40, "days")),
    ("probation", number(1, 12, "months")),
    ("notice period", number(7, 120, "days")),
    ("contract number", code("E")),
    ("place of work", place),
    ("superior", person),
    ("yearly bonus", number(100, 9000, "marks")),
    ("pension contribution", number(2, 15, "percent")),
    ("sick pay", number(5, 60, "days")),
    ("travel allowance", number(10, 400, "marks")),
    ("overtime rate", number(10, 90, "percent")),
    ("duration of secrecy", number(1, 15, "years")),
    ("governing law", lambda rng: f"the law of {letters(rng, 7)}"),
    ("employer's signatory", person),
    ("training budget", number(100, 4000, "marks")),
)
