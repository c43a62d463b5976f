"""What the rooms hold, found by file name and read without an import; and members made from a name and arguments."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from expunge.core.errors import Refused, unknown
from expunge.core.notes import note

ROOMS = ("methods", "guards", "attacks", "metrics", "benchmarks")
SINGULAR = {"methods": "method", "guards": "guard", "attacks": "attack", "metrics": "metric", "benchmarks": "benchmark"}
GLOBAL_OPTIONS = (  # noqa: SIM905
    "model benchmark forget retain holdout data subset columns allow_overlap max_length on out overwrite threads dtype device quiet "
    "lr epochs steps batch accumulate schedule warmup weight_decay clip seed save_every lora preset dry_run gold metrics label no_texts "
    "lora_alpha lora_targets lora_dropout lm_eval lm_limit "
    "from_log gold_log original shadow encoder nli gibberish mlm format "
    "trust_remote_code against method verb debug help from alternate world refusals chat names anchors domain optimiser"
    " budget minutes methods lr_scale stage"
).split()
NUMBER = r"-?\d+(?:\.\d+)?"
RANGE = re.compile(rf"\((?:(?P<sign>>=|<=|>|<) (?P<bound>{NUMBER})|(?P<low>{NUMBER}) to (?P<high>{NUMBER})|(?P<any>any number))(?=[;)])")
BOOLS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Range:
    """The numbers that an argument may be; an ``open`` end does not belong to them."""

    low: float = -math.inf
    high: float = math.inf
    open: bool = False

    def holds(self, value: float) -> bool:
        """Whether a number is one of them. NaN never is."""
        return self.low < value < self.high if self.open else self.low <= value <= self.high

    @property
    def words(self) -> str:
        """What an error says a value must be."""
        if math.isfinite(self.low) and math.isfinite(self.high):
            return f"from {self.low:g} to {self.high:g}"
        if math.isfinite(self.low):
            return f"{'above' if self.open else 'at least'} {self.low:g}"
        return f"{'below' if self.open else 'at most'} {self.high:g}" if math.isfinite(self.high) else "a number"


@dataclass(frozen=True)
class Argument:
    """An argument of a member: its name, annotation and default as written, and what the docstring says of it."""

    name: str
    annotation: str
    default: str
    doc: str = ""

    @property
    def range(self) -> Range | None:
        """The range that the description names in brackets, remarks behind a semicolon: ``(> 0)``, ``(0 to 1; 0 never)``,
        ``(any number)``; None if it names none."""
        found = RANGE.search(self.doc)
        if found is None:
            return None
        if found["any"]:
            return Range()
        if found["sign"] is None:
            return Range(float(found["low"]), float(found["high"]))
        bound, is_open = float(found["bound"]), "=" not in found["sign"]
        return Range(low=bound, open=is_open) if found["sign"][0] == ">" else Range(high=bound, open=is_open)


@dataclass(frozen=True)
class Member:
    """A member as its source tells it: ``card`` holds the Card's literal fields.

    ``broken``: why its file cannot be read (then there is nothing else); it is listed with that, and every other member stands.
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
    def published_as(self) -> Mapping[str, Mapping[str, Any]]:
        """Other names under which papers know a choice of this member's arguments."""
        return self.card.get("published_as", {})


def names(room: str) -> list[str]:
    """The members of a room by file name, sorted; a room that is not there has none."""
    if room not in ROOMS:
        raise unknown("room", room, ROOMS)
    return sorted(p.stem for p in (HERE / room).glob("*.py") if not p.stem.startswith("_"))


def entries(room: str) -> dict[str, str]:
    """published name -> member, for names that are a choice of another member's arguments."""
    return {alias: name for name in names(room) for alias in brief(room, name).published_as}


def member(room: str, name: str) -> Member:
    """A member by name, or the member behind a published name. The nearest is named if there is none."""
    if room in ROOMS and name.isidentifier() and not name.startswith("_") and (HERE / room / f"{name}.py").is_file():
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
    """The members of a room whose files can be read; one line on standard error for each of the others."""
    told = [brief(room, name) for name in names(room)]
    for one in told:
        if one.broken:
            note(one.broken)
    return [one.name for one in told if not one.broken]


@cache
def brief(room: str, name: str) -> Member:
    """A member without its arguments: only the file's head, which ends with the card, is parsed. A list is three times as fast."""
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
        return Member(room, name, "", {}, (), broken=f"{where}{f':{line}' if line else ''}: cannot be read; mend or remove it")


def _of_tree(room: str, name: str, tree: ast.Module) -> Member:
    doc = (ast.get_docstring(tree) or "").strip()
    card: dict[str, Any] = {}
    arguments: tuple[Argument, ...] = ()
    own = ""
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and getattr(node.targets[0], "id", "") == "card":
            card = {k.arg: ast.literal_eval(k.value) for k in node.value.keywords if k.arg}
        if isinstance(node, ast.FunctionDef) and node.name == name:
            own = ast.get_docstring(node) or ""
            arguments = _arguments(node, own)
    return Member(room, name, doc.splitlines()[0] if doc else "", card, arguments, own)


def _arguments(node: ast.FunctionDef, doc: str) -> tuple[Argument, ...]:
    plain = node.args.args
    defaults: list[ast.expr | None] = [None] * (len(plain) - len(node.args.defaults)) + list(node.args.defaults)
    pairs = [*zip(plain, defaults, strict=True), *zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)]
    described = (line.strip().split(": ", 1) for line in doc.splitlines() if ": " in line)
    said = {name: text for names, text in described for name in names.split(", ")}  # "data, holdout: not read." describes both
    source = lambda x: ast.unparse(x) if x is not None else ""
    return tuple(Argument(a.arg, source(a.annotation), source(d), said.get(a.arg, "")) for a, d in pairs)


def load(room: str, name: str) -> ModuleType:
    """The module of a member (the import happens here)."""
    return import_module(f"expunge.{room}.{member(room, name).name}")


def resolve(room: str, name: str, args: Mapping[str, Any] | None = None) -> Any:
    """The member called with arguments, each converted to what its annotation says. Refused names the argument and the nearest."""
    found = member(room, name)
    fixed = dict(found.published_as.get(name, {})) if name != found.name else {}
    known = {a.name: a for a in found.arguments}
    given = {}
    for key, value in {**fixed, **(args or {})}.items():
        if key not in known:
            raise unknown(f"argument of {name}", key, known)
        given[key] = convert(known[key], value, name)
    made = getattr(load(room, found.name), found.name)
    check_ranges(found, given)
    return made(**given)


def convert(argument: Argument, value: Any, owner: str) -> Any:
    """A value from the command line or JSON as its annotation wants it."""
    wanted = argument.annotation.removesuffix(" | None")
    if wanted != argument.annotation and (value is None or value == "none"):
        return None
    try:
        if wanted == "Term":
            return resolve_term(value) if isinstance(value, str) else value
        if wanted.startswith("Literal["):
            allowed = ast.literal_eval(f"({wanted[8:-1]},)")
            match = next((a for a in allowed if str(a) == str(value)), None)
            if match is None:
                raise unknown(f"{argument.name} of {owner}", str(value), map(str, allowed))
            return match
        if wanted == "bool":
            return value if isinstance(value, bool) else BOOLS[str(value).lower()]
        if wanted in ("int", "float", "str"):
            kind = {"int": int, "float": float, "str": str}[wanted]
            made = kind(value)
            if isinstance(value, bool) or (kind is int and isinstance(value, float) and value != made):
                raise ValueError
            if kind is float and not math.isfinite(made):
                raise ValueError
            return made
        if wanted.startswith("tuple[str"):
            return tuple(value.split(",")) if isinstance(value, str) else tuple(value)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        if isinstance(error, Refused):
            raise
        raise Refused(f"{owner}: --{argument.name} takes {argument.annotation}, not {value!r}") from None
    return value


def check_ranges(found: Member, given: Mapping[str, Any]) -> None:
    """Refuse a number outside the range that the argument's own description names (see ``Argument.range``)."""
    known = {a.name: a.range for a in found.arguments}
    for name, value in given.items():
        allowed = known[name]
        if allowed is None or isinstance(value, bool) or not isinstance(value, (int, float)):
            continue
        if not allowed.holds(value):
            raise Refused(f"{found.name}: --{name} {value} is out of range; it must be {allowed.words}")


def resolve_term(name: str, **args: Any) -> Any:
    """A shared term by the name of its factory in maths.terms."""
    module = import_module("expunge.maths.terms")
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    factories = [n.name for n in tree.body if isinstance(n, ast.FunctionDef) and n.returns is not None and ast.unparse(n.returns) == "Term"]
    if name not in factories:
        raise unknown("term", name, factories)
    made = getattr(module, name)
    return made("retain", **args) if not args else made(**args)
