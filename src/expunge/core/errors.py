"""The two ways in which a run can end badly, and how a near miss is named."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches
from pathlib import Path


class Refused(ValueError):
    """The request or its data were wrong: one clear line, exit code 2, nothing was started.

    The message says what was wrong, where (``file:line``), and what to do. It never holds a text of
    the data.
    """


class NotAtHand(Refused):
    """A file, or a part of a data set, that is not there at all.

    What a benchmark can do without is then left out and named. Rows that are there but cannot be
    read are plainly Refused.
    """


class Failed(RuntimeError):
    """Something broke while running: one clear line, exit code 1, what was finished is kept."""


def listed(names: Iterable[str], most: int = 12) -> str:
    """``a, b, c`` for an error message; cut after ``most`` names."""
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


ALIKE = 0.6  # share of two names that must agree, in order, for one to be a slip of the other
BEGUN = 3  # characters that stand for a name which begins with them
# what runs others' code is named only to somebody who nearly wrote it
RISKY = {"trust-remote-code": 0.8}
FEW = 8  # so many names are told beside the nearest


def nearest(asked: str, allowed: Iterable[str]) -> str:
    """The name that was probably meant, or "".

    The dashes of options say nothing: they are not compared.
    """
    names = {name.lstrip("-"): name for name in allowed}
    bare = asked.lstrip("-")
    for near in get_close_matches(bare, names, n=3, cutoff=ALIKE):
        if SequenceMatcher(None, bare, near).ratio() >= RISKY.get(near.replace("_", "-"), ALIKE):
            return names[near]
    begun = [
        name
        for name in names
        if len(bare) >= BEGUN and name.startswith(bare) and name.replace("_", "-") not in RISKY
    ]
    return names[begun[0]] if begun else ""


def unknown(what: str, asked: str, allowed: Iterable[str]) -> Refused:
    """The error for a name that does not exist: names the nearest, and what there is if that is not
    much.

    ``what``: the kind of thing, or ``kind of owner``.

    >>> str(unknown("metric", "rogue", ["rouge", "probability"]))
    "no metric 'rogue'; did you mean rouge? there are: probability, rouge"
    >>> str(unknown("split of tofu", "forget", ["corpus"]))
    "tofu has no split 'forget'; there are: corpus"
    """
    kind, _, owner = what.partition(" of ")
    if owner:
        said = f"{owner} has no {kind} {asked!r}"
    else:
        said = f"no {kind} {asked!r}"
    return Refused(f"{said}; {_instead(asked, allowed)}")


def no_choice(option: str, asked: str, allowed: Iterable[str]) -> Refused:
    """The error for a value that an option or argument does not take: names the nearest, and what
    it takes.

    >>> str(no_choice("--on", "ful", ["full", "retain"]))
    "--on takes no 'ful'; did you mean full? there are: full, retain"
    """
    return Refused(f"{option} takes no {asked!r}; {_instead(asked, allowed)}")


def _instead(asked: str, allowed: Iterable[str]) -> str:
    """The nearest name and, where that is none or there are few, what there is."""
    names = sorted(allowed)
    near = nearest(asked, names)
    there = f"there are: {listed(names)}"
    if not near:
        return there
    return f"did you mean {near}?" + (f" {there}" if 1 < len(names) <= FEW else "")


SPOKEN = {  # a type as an error says it
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "list": "a list",
    "tuple": "a list",
    "dict": "a mapping",
    "Mapping": "a mapping",
    "NoneType": "nothing",
}

NO_MEMORY = (
    "can't allocate memory",
    "not enough memory",
    "cannot allocate memory",
    "std::bad_alloc",
    "bad allocation",
    "out of memory",
)
NO_ROOM = (
    "no space left",
    "storagefull",
    "filetoolarge",
    "file too large",
    "file write failed",
    "inline_container",
    "pytorchstream",
)


def out_of_memory(error: BaseException) -> bool:
    """Whether the machine's memory ran out: on a CPU torch, arrow and safetensors say it in errors
    of other kinds.
    """
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno == errno.ENOMEM
    said = str(error).lower()
    return isinstance(error, (RuntimeError, ValueError, OSError)) and any(
        words in said for words in NO_MEMORY
    )


def unwritten(error: BaseException) -> str:
    """Why a file could not be written, in plain words.

    Those of torch.save tell places in its C++ code, not that the disk is full.
    """
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    said = str(error).lower()
    if any(words in said for words in NO_ROOM):
        return "No space left on device"
    return next(
        (line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__
    )


INTERRUPTED = (130, "interrupted; run the same command again to resume")


def verdict(error: BaseException) -> tuple[int, str]:
    """Exit code and line for an error.

    What nobody foresaw is named by type and place only: its own words might quote the data.
    """
    if isinstance(error, (Refused, Failed)):
        return (2 if isinstance(error, Refused) else 1), str(error)
    # typer's word for Ctrl-C
    if isinstance(error, KeyboardInterrupt) or type(error).__name__ == "Abort":
        return INTERRUPTED
    if type(error).__name__ == "OutOfMemoryError":
        return (
            1,
            "the device ran out of memory; a smaller --batch with a larger --accumulate, or --lora "
            "16, needs less",
        )
    if out_of_memory(error):
        return 1, "out of memory; a smaller --batch with a larger --accumulate needs less"
    if isinstance(error, ModuleNotFoundError) and not str(error.name).startswith("expunge"):
        return 1, f"the package {error.name} is missing; pip install {error.name}"
    if isinstance(error, OSError) and error.strerror:
        return 1, f"{error.filename or 'a file'}: {error.strerror}"
    here = str(Path(__file__).parents[1])
    ours = []
    for f in traceback.extract_tb(error.__traceback__):
        if f.filename.startswith(here) and f.filename != __file__:
            ours.append(f)
    if ours:
        place = f" at {Path(ours[-1].filename).relative_to(here)}:{ours[-1].lineno}"
    else:
        place = ""
    return (
        1,
        f"unexpected {type(error).__name__}{place}; this is a fault of ours, run again with "
        f"--debug to see it",
    )
