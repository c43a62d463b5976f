"""What the rooms hold, found by file name and read without an import; and members made from a name
and arguments.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from expunge.core.errors import SPOKEN, Refused, listed, nearest, no_choice, unknown
from expunge.core.former_names import current_option, current_options
from expunge.core.notes import note
from expunge.core.ranges import Range, annotation_of

ROOMS = ("methods", "guards", "attacks", "metrics", "benchmarks")
SINGULAR = {
    "methods": "method",
    "guards": "guard",
    "attacks": "attack",
    "metrics": "metric",
    "benchmarks": "benchmark",
}
GIVEN = ("records", "role", "gold")  # what a run gives every metric; not the user's to choose
BOOLS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Argument:
    """An argument of a member: its name, its type and default as written, the numbers that it may
    be (None: its type says all), and what the docstring says of it.
    """

    name: str
    annotation: str
    default: str
    doc: str = ""
    range: Range | None = None

    @property
    def kind(self) -> str:
        """Its type and its range, as pages and help tell them: ``float, above 0``."""
        return self.annotation + (
            f", {'each ' if self.annotation.startswith('tuple') else ''}{self.range.words}"
            if self.range
            else ""
        )


@dataclass(frozen=True)
class Member:
    """A member as its source tells it: ``card`` holds the Card's literal fields.

    ``broken``: why its file cannot be read (then there is nothing else); it is listed with that,
    and every other member stands.
    """

    room: str
    name: str
    summary: str
    card: Mapping[str, Any]
    arguments: tuple[Argument, ...]
    doc: str = ""
    base: str = ""
    broken: str = ""

    @property
    def own(self) -> dict[str, Argument]:
        """The arguments that a caller may choose, by name; a run gives a metric the others."""
        return {a.name: a for a in self.arguments if self.room != "metrics" or a.name not in GIVEN}

    @property
    def published_as(self) -> Mapping[str, Mapping[str, Any]]:
        """Other names under which papers know a choice of this member's arguments."""
        return self.card.get("published_as", {})


def names(room: str) -> list[str]:
    """The members of a room by file name, sorted; a room that is not there has none."""
    if room not in ROOMS:
        raise unknown("kind", room, ROOMS)
    return sorted(p.stem for p in (HERE / room).glob("*.py") if not p.stem.startswith("_"))


@cache
def observation_titles() -> dict[str, str]:
    """What every observation reads, by name, from the sources of ``evaluation/observations``."""
    found: dict[str, str] = {}
    for file in sorted((HERE / "evaluation" / "observations").glob("*.py")):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                literals = _class_literals(node)
                if literals.get("name") == file.stem:
                    found[file.stem] = str(literals["title"])
    return found


def _class_literals(node: ast.ClassDef) -> dict[str, Any]:
    """The annotated attributes of a class whose values are plain strings."""
    found: dict[str, Any] = {}
    for line in node.body:
        if (
            isinstance(line, ast.AnnAssign)
            and isinstance(line.target, ast.Name)
            and isinstance(line.value, ast.Constant)
        ):
            found[line.target.id] = line.value.value
    return found


def entries(room: str) -> dict[str, str]:
    """Other name -> member: names that are a choice of a member's arguments, and names that it had
    in earlier versions.
    """
    found: dict[str, str] = {}
    for name in names(room):
        told = brief(room, name)
        found |= dict.fromkeys((*told.published_as, *told.card.get("formerly", ())), name)
    return found


def former_names(room: str, name: str) -> list[str]:
    """The names that a member had in earlier versions and in papers, with the same arguments."""
    found = brief(room, name)
    same = [other for other, args in found.published_as.items() if not args]
    return [*found.card.get("formerly", ()), *same]


def rooms_of(name: str) -> list[str]:
    """Where there is a member of a name, or of a published name."""
    return [room for room in ROOMS if name in names(room) or name in entries(room)]


def refuse(name: str) -> NoReturn:
    """Refused: a name that no member has; it says the nearest, and what kinds there are."""
    plural = {SINGULAR[room]: room for room in ROOMS}
    kind = plural.get(name, name)
    if kind in ROOMS:
        raise Refused(
            f"{name}: a kind of members, not one of them; expunge list {kind} names those that "
            f"there are"
        )
    near = nearest(name, [*ROOMS, *(n for room in ROOMS for n in (*names(room), *entries(room)))])
    hint = f"did you mean {near}? " if near else ""
    raise Refused(f"no member {name!r}; {hint}expunge list names all {listed(ROOMS)}")


def member(room: str, name: str) -> Member:
    """A member by name, or the member behind a published name.

    The nearest is named if there is none.
    """
    if (
        room in ROOMS
        and name.isidentifier()
        and not name.startswith("_")
        and (HERE / room / f"{name}.py").is_file()
    ):
        return _whole(_read(room, name))
    found = entries(room)
    if name in found:
        return _whole(_read(room, found[name]))
    raise unknown(SINGULAR[room], name, [*names(room), *found])


def _whole(found: Member) -> Member:
    if found.broken:
        raise Refused(found.broken)
    return found


def sound(room: str) -> list[str]:
    """The members of a room whose files can be read; one line on standard error for each of the
    others.
    """
    told = [brief(room, name) for name in names(room)]
    for one in told:
        if one.broken:
            note(one.broken)
    return [one.name for one in told if not one.broken]


@cache
def brief(room: str, name: str) -> Member:
    """A member without its arguments: only the file's head, which ends with the card, is parsed.

    A list is three times as fast.
    """
    text = (HERE / room / f"{name}.py").read_text(encoding="utf-8")
    start = text.find("\ncard = Card(")
    return _parsed(room, name, text[: text.find("\n)\n", start) + 3] if start >= 0 else text)


@cache
def _read(room: str, name: str) -> Member:
    return _parsed(room, name, (HERE / room / f"{name}.py").read_text(encoding="utf-8"))


def _parsed(room: str, name: str, text: str) -> Member:
    try:
        return _of_tree(room, name, ast.parse(text))
    except (SyntaxError, ValueError, RecursionError) as error:
        line = getattr(error, "lineno", None)
        where = HERE / room / f"{name}.py"
        return Member(
            room,
            name,
            "",
            {},
            (),
            broken=f"{where}{f':{line}' if line else ''}: cannot be read; mend or remove it",
        )


def _of_tree(room: str, name: str, tree: ast.Module) -> Member:
    doc = (ast.get_docstring(tree) or "").strip()
    card: dict[str, Any] = {}
    arguments: tuple[Argument, ...] = ()
    own = ""
    for node in tree.body:
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Call)
            and getattr(node.targets[0], "id", "") == "card"
        ):
            card = {k.arg: ast.literal_eval(k.value) for k in node.value.keywords if k.arg}
        if isinstance(node, ast.FunctionDef) and node.name == name:
            own = ast.get_docstring(node) or ""
            arguments = _arguments(node, own)
    return Member(room, name, first_paragraph(doc), card, arguments, own)


def first_paragraph(doc: str) -> str:
    """The first paragraph of a docstring as one line."""
    return " ".join(doc.split("\n\n")[0].split())


def described(doc: str) -> list[tuple[str, str]]:
    """The entries of a docstring: (names, text) of ``names: text``, ("", line) of other lines.

    Lines that are indented further than the one that begins an entry belong to it.
    """
    found: list[tuple[str, str]] = []
    depth = -1
    for line in doc.splitlines():
        indent = len(line) - len(line.lstrip())
        if line.strip() and 0 <= depth < indent:
            names, text = found[-1]
            found[-1] = (names, f"{text} {line.strip()}")
            continue
        names, colon, text = line.strip().partition(": ")
        starts = bool(colon) and all(name.isidentifier() for name in names.split(", "))
        depth = indent if starts else -1
        found.append((names, text) if starts else ("", line))
    return found


def _arguments(node: ast.FunctionDef, doc: str) -> tuple[Argument, ...]:
    plain = node.args.args
    defaults: list[ast.expr | None] = [None] * (len(plain) - len(node.args.defaults)) + list(
        node.args.defaults
    )
    pairs = [
        *zip(plain, defaults, strict=True),
        *zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True),
    ]
    said: dict[str, str] = {}
    for names, text in described(doc):
        for name in names.split(", "):  # "data, holdout: not read." describes both
            if name:
                said[name] = text
    made = []
    for a, default in pairs:
        kind, allowed = annotation_of(a.annotation)
        made.append(
            Argument(
                a.arg,
                kind,
                ast.unparse(default) if default is not None else "",
                said.get(a.arg, ""),
                allowed,
            )
        )
    return tuple(made)


def load(room: str, name: str) -> ModuleType:
    """The module of a member (the import happens here)."""
    return import_module(f"expunge.{room}.{member(room, name).name}")


def resolve(room: str, name: str, args: Mapping[str, Any] | None = None) -> Any:
    """The member called with arguments, each as ``checked`` gives it, a term by name made."""
    found = member(room, name)
    if name != found.name:
        fixed = found.published_as.get(name, {})
    else:
        fixed = {}
    given = checked(room, name, {**fixed, **(args or {})})
    for key, value in given.items():
        if found.own[key].annotation == "Term" and isinstance(value, str):
            given[key] = resolve_term(value)
    return getattr(load(room, found.name), found.name)(**given)


def checked(room: str, name: str, args: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of a member, whoever gave them, as its signature takes them: the one place where
    they are converted and held to their ranges. A term stays as it was given.

    Refused, in a line with the member and the argument: one that it does not have (the nearest is
    named), a value of another kind, a number out of its range.
    """
    known = member(room, name).own
    given = {}
    for key, value in current_options(args, known).items():
        if key not in known:
            raise unknown(f"argument of {name}", str(key), known)
        given[key] = convert(known[key], value, name)
        allowed = known[key].range
        if isinstance(given[key], tuple):
            numbers = given[key]
        else:
            numbers = (given[key],)
        wrong = [
            x for x in numbers if allowed is not None and x is not None and not allowed.holds(x)
        ]
        if allowed is not None and wrong:
            raise Refused(f"{name}: --{key} {wrong[0]} is out of range; it must be {allowed.words}")
    return given


def convert(argument: Argument, value: Any, owner: str) -> Any:
    """A value from the command line, JSON, YAML or Python as its annotation wants it."""
    wanted = argument.annotation.removesuffix(" | None")
    if wanted != argument.annotation and (value is None or value == "none"):
        return None
    try:
        if wanted.startswith("Literal["):
            allowed = ast.literal_eval(f"({wanted[8:-1]},)")
            wanted_value = current_option(str(value), [str(a) for a in allowed])
            match = next((a for a in allowed if str(a) == wanted_value), None)
            if match is None:
                raise no_choice(f"{owner}: --{argument.name}", str(value), map(str, allowed))
            return match
        if wanted.startswith(("tuple[", "Sequence[")):
            parts = value.split(",") if isinstance(value, str) else value
            kind = wanted[wanted.index("[") + 1 : -1].removesuffix(", ...")
            return tuple(_simple(kind, part) for part in parts)
        return _simple(wanted, value)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        if isinstance(error, Refused):
            raise
        raise Refused(
            f"{owner}: --{argument.name} takes {_spoken(argument.annotation)}, not {value!r}"
        ) from None


def _simple(wanted: str, value: Any) -> Any:
    """One value of a plain type.

    ``int | float``: a whole number stays one. Any other type takes the value as it is.
    """
    if wanted == "bool":
        if isinstance(value, bool):
            return value
        return BOOLS[str(value).lower()]
    if wanted == "int | float":
        whole = isinstance(value, int) or (
            isinstance(value, str) and value.strip().lstrip("-").isdecimal()
        )
        wanted = "int" if whole else "float"
    if wanted not in ("int", "float", "str"):
        return value
    kind = {"int": int, "float": float, "str": str}[wanted]
    made = kind(value)
    if isinstance(value, bool) or (kind is int and isinstance(value, float) and value != made):
        raise ValueError
    if kind is float and not math.isfinite(made):
        raise ValueError
    return made


def _spoken(annotation: str) -> str:
    """An annotation in the words of an error: ``a number``; a list or a term as it is written."""
    kind = annotation.removesuffix(" | None")
    words = "a number" if kind == "int | float" else SPOKEN.get(kind, kind)
    return words + (" or none" if kind != annotation else "")


def resolve_term(name: str, **args: Any) -> Any:
    """A shared term by the name of its factory in losses.terms."""
    module = import_module("expunge.losses.terms")
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    factories = []
    for n in tree.body:
        if (
            isinstance(n, ast.FunctionDef)
            and n.returns is not None
            and ast.unparse(n.returns) == "Term"
        ):
            factories.append(n.name)
    if name not in factories:
        raise unknown("term", name, factories)
    made = getattr(module, name)
    return made("retain", **args) if not args else made(**args)
