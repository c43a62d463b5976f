"""The same rows about somebody else: names replaced throughout."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from random import Random

from expunge.core.data import Example, Examples
from expunge.core.errors import Refused
from expunge.synthesis.names import subjects, texts_of, with_texts
from expunge.synthesis.tools import Tools

MANY = 500  # names of a pool that are looked at
FIRST = (  # noqa: SIM905
    "Aaron Alice Anton Bruno Carla Clara Daniel Diana Edgar Elena Felix Grace Hanna Henry Ivan "
    "Julia Karl Laura Leon Lydia Martin Mona "
    "Nathan Nora Oscar Paula Peter Rosa Simon Sofia Thomas Vera Victor Wendy"
).split()
MIDDLE = "Adam Anne Erik Joan Kai Lou Marie Max Noel Ray Ruth Sam".split()  # noqa: SIM905
LAST = (  # noqa: SIM905
    "Abbott Baxter Brandt Cooper Dalton Ellis Fischer Garner Hayes Ingram Jensen Keller Lambert "
    "Morris Norton Olsen Parker Quinn Ramsey "
    "Sanders Turner Vaughn Walsh Young"
).split()


def renamed(rows: Mapping[str, Examples], tools: Tools, *, n: int = 20) -> Examples:
    """``n`` rows for every forget row: the name that its group is about replaced by another of as
    many words, in question and answer.

    The other names are those that retain groups are about, then made-up ones, then those of other
    forget groups, drawn from (seed, group): a group's rows all meet the same ones. Role
    ``renamed``, tag ``name:<other>``, variants {"original": the name}. A single word of the name
    that stands alone (a last name) is replaced by the other's word at its place. Refused, by group,
    if no name is found or a row does not hold it.
    """
    forget = rows["forget"]
    about = subjects(forget, tools.finder)
    kept = subjects(rows.get("retain", ()), tools.finder)
    lost = sorted({e.source or e.id for e in forget if not about[e.group]})
    if lost:
        raise Refused(
            f"{lost[0]}: no name found in {len(lost)} rows of forget groups; give the names with "
            f"--names FILE"
        )
    of_retain = by_words(kept.values())
    of_forget = by_words(about.values())
    others = {}
    for group, name in about.items():
        words = len(name.split())
        others[group] = replacements(
            name, n, tools, kept=of_retain.get(words, ()), rest=of_forget.get(words, ())
        )
    made = []
    for e in forget:
        for other in others[e.group]:
            new = rename_example(e, about[e.group], other)
            made.append(
                replace(
                    new,
                    role="renamed",
                    tags=(*e.tags, f"name:{other}"),
                    variants={"original": about[e.group]},
                    spans=(),
                )
            )
    return tuple(made)


def by_words(names: Iterable[str]) -> dict[int, list[str]]:
    """Names by their number of words, each once and sorted."""
    found: dict[int, list[str]] = {}
    for name in sorted(set(names)):
        found.setdefault(len(name.split()), []).append(name)
    return found


def replacements(
    name: str, n: int, tools: Tools, kept: Sequence[str] = (), rest: Sequence[str] = ()
) -> list[str]:
    """``n`` other names of as many words as ``name``, none of which shares a word with it.

    Of a pool of more than MANY names a sample of so many is looked at, so that the time grows with
    the groups and not with their square.
    """
    draw = tools.random("rename", name)
    found: list[str] = []
    words = name.split()

    def fits(other: str) -> bool:
        new = other.split()
        return len(new) == len(words) and not set(words) & set(new)

    for pool in (kept, _made_up(len(words), 4 * n, draw), rest):
        if len(pool) > MANY:
            pool = draw.sample(list(pool) if not isinstance(pool, list) else pool, MANY)
        some = sorted({o for o in pool if fits(o)} - set(found))
        draw.shuffle(some)
        found += some[: n - len(found)]
    return found


def _made_up(words: int, n: int, draw: Random) -> list[str]:
    pick = draw.choice
    if words == 1:
        return list(LAST)
    names = []
    for _ in range(n):
        first = pick(FIRST)
        middle = [pick(MIDDLE) for _ in range(words - 2)]
        names.append(" ".join([first, *middle, pick(LAST)]))
    return names


def rename_example(example: Example, name: str, other: str) -> Example:
    """Question, answer, turns and text of an example with the name replaced."""
    return with_texts(example, lambda text: rename(text, name, other))


def rename(text: str, name: str, other: str) -> str:
    """The whole name first, then its single words (of three letters or more) by the word at the
    same place; as whole words only.

    >>> rename("Ada Byron's sister; Byron wrote.", "Ada Byron", "Nora Keller")
    "Nora Keller's sister; Keller wrote."
    """
    words = name.split()
    new = other.split()
    swap = {name: other} | {
        w: v for w, v in zip(words, new, strict=True) if len(w) > 2 and w[0].isupper()
    }
    whole = "|".join(re.escape(w) for w in sorted(swap, key=len, reverse=True))
    return re.sub(rf"(?<!\w)(?:{whole})(?!\w)", lambda m: swap[m.group()], text)


def mentions(example: Example, name: str) -> bool:
    """Whether an example holds the name or its last word."""
    return any(
        re.search(rf"(?<!\w)(?:{re.escape(name)}|{re.escape(name.split()[-1])})(?!\w)", t)
        for t in texts_of(example)
    )
