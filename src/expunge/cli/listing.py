"""The catalogue as text: what ``expunge list`` and ``expunge show`` print.

Everything here is read from cards, signatures and docstrings; no member is imported.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from expunge import registry
from expunge.cli.wrapping import broken, terminal_width
from expunge.core.benchmark import Published
from expunge.core.errors import listed
from expunge.core.needs import NEEDS
from expunge.core.units import UNITS
from expunge.registry import Argument, Member
from expunge.report.format import short

EVIDENCE = {
    "reference": "reference value",  # a number made outside this repository is matched
    "theorem": "theorem",
    "oracle": "oracle by hand",
    "reconstructed": "reconstructed",
}
CLAIMS = {
    "lowers_logp": "lowers the log-probability of what is forgotten",
    "raises_refusal": "raises the log-probability of a refusal",
    "moves_hidden": "moves the hidden states of what is forgotten",
}
NOTES = {  # what of the arguments can be said on the command line
    "metrics": "Of the function; a benchmark may set them, the command line does not.",
    "benchmarks": "The split stands after the colon; data, holdout and subset are options; the "
    "rest is for Python.",
}
NO_EFFECT = 0.05  # a fall of the forget probability below this is none


# ------------------------------------------------------------------ rows


def root() -> Path:
    """The repository that the package lies in; of an installed package, a folder without docs and
    results.
    """
    return registry.HERE.parents[1]


EFFECT = ("forget/probability", "retain/probability")


def effects(where: Path | None = None) -> dict[str, Any]:
    """results/bench.json: what each method did to the built-in case.

    Empty if it was never measured or is not shipped.
    """
    file = (where or root()) / "results" / "bench.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def effect(name: str, found: Mapping[str, Any]) -> str:
    """``forget .12, retain .93 (gold .10, .95)``: means over the seeds of the sweep.

    A method that was not measured, or that changed nothing, says so.
    """
    measured = found.get("methods", {})
    known = [n for n in (name, *registry.former_names("methods", name)) if n in measured]
    mine = measured[known[0]].get("at_settings", {}) if known else {}
    values = _means(mine)
    if None in values:
        return "not measured"
    forget, retain = map(short, values)
    gold = ", ".join(map(short, _means(found["gold"])))
    words = f"forget {forget}, retain {retain} (gold {gold})"
    fell = found["original"][EFFECT[0]]["mean"] - mine[EFFECT[0]]["mean"]
    if fell < NO_EFFECT:
        words += ": no effect here"
    return words


def _means(part: Mapping[str, Any]) -> list[Any]:
    """The means behind EFFECT in one entry of results/bench.json; None where one is missing."""
    return [part.get(key, {}).get("mean") for key in EFFECT]


def as_rows(room: str, where: Path | None = None) -> list[dict[str, Any]]:
    """The members of a room as plain data: name, room, summary, paper, url, evidence, effect,
    published_as. Effect is of methods only.
    """
    found = effects(where)
    return [_row(registry.brief(room, name), found) for name in registry.sound(room)]


def _row(member: Member, found: Mapping[str, Any]) -> dict[str, Any]:
    card = member.card
    made: dict[str, Any] = {"name": member.name, "room": member.room, "summary": member.summary}
    made |= {key: card.get(key, "") for key in ("paper", "url")} | {"evidence": _evidence(card)}
    made["effect"] = effect(member.name, found) if member.room == "methods" and found else None
    return made | {
        "published_as": {alias: dict(args) for alias, args in member.published_as.items()}
    }


def _evidence(card: Mapping[str, Any]) -> str:
    """How sure we are of a member; of a benchmark whose real rows were never seen, that."""
    if "loader only" in card.get("family", ()):
        return "loader only"
    return EVIDENCE[card.get("evidence", "oracle")]


# ------------------------------------------------------------------ for the terminal


def print_rooms(rooms: Iterable[str]) -> None:
    """Print the tables of rooms.

    Plain text: rich alone would cost a quarter of the time that a list may take.
    """
    print(listing(rooms))


def listing(rooms: Iterable[str]) -> str:
    """Aligned tables; what is wider than the terminal goes on below.

    Published names stand indented and are not counted.
    """
    width = terminal_width()
    return "\n\n".join("\n".join(_table(room, width)) for room in _some(rooms))


def _some(rooms: Iterable[str]) -> list[str]:
    asked = list(rooms)
    if len(asked) == 1:
        return asked
    return [room for room in asked if registry.names(room)]


def _table(room: str, width: int) -> list[str]:
    rows = as_rows(room)
    wide = max((len(r["name"]) for r in rows), default=0)
    sure = max((len(r["evidence"]) for r in rows), default=0)
    far = max((len(r["effect"] or "") for r in rows), default=0)
    lines = [f"{room} ({len(rows)})" if rows else f"{room}: none yet"]
    for row in rows:
        known = f"  {row['name']:<{wide}}  {row['evidence']:<{sure}}  " + (
            f"{row['effect']:<{far}}  " if far else ""
        )
        if not width or len(known + row["summary"]) <= width:
            lines.append(known + row["summary"])
        else:
            lines += [known.rstrip(), *broken("    " + row["summary"], width, "    ")]
        lines += [
            f"      {alias} = {row['name']}({arguments_of(args, '=')})"
            for alias, args in row["published_as"].items()
        ]
    return lines


# ------------------------------------------------------------------ one page


def page(room: str, name: str, where: Path | None = None, split: str = "") -> str:
    """Markdown page of a member (or of the member behind a published name) that reads well as plain
    text, too.

    ``split``: of a benchmark, which one's published numbers are shown; its default split's if left
    away.
    """
    member = registry.member(room, name)
    parts = [
        f"# {member.name}",
        member.summary,
        _facts(member, effects(where)),
        _definition(member),
        _arguments(member),
    ]
    parts += [_presets(member), _aliases(member), published(member, split), _how(member)]
    if name in member.published_as:
        parts.insert(
            0, f"{name} is {member.name} with {arguments_of(member.published_as[name], ' ')}."
        )
    elif name != member.name:
        parts.insert(0, f"{name} is called {member.name} now.")
    return "\n\n".join(part for part in parts if part) + "\n"


def _facts(member: Member, found: Mapping[str, Any]) -> str:
    card = member.card
    source = f"{card.get('paper', '')}" + (f" <{card['url']}>" if card.get("url") else "")
    facts = {
        "room": member.room,
        "paper": source,
        "where": card.get("where", ""),
        "family": ", ".join(card.get("family", ())),
    }
    facts |= {"evidence": _evidence(card)}
    if member.room == "methods":
        facts["effect on the built-in case"] = effect(member.name, found)
    claims = card.get("claims", "")
    guard = member.room == "guards"
    facts |= {
        "what it claims" if guard else "a small step": CLAIMS.get(claims, claims.replace("_", " ")),
        "what it must see" if guard else "rights of the adversary": ", ".join(
            card.get("rights", ())
        ),
    }
    facts |= {
        "undoes": card.get("defeats", "").replace("_", " "),
        "strength": _strength(card),
        "better": better(card),
        "unit": _unit(card),
    }
    facts |= {"needs": ", ".join(_needed(card)), "reads": ", ".join(card.get("reads", ()))}
    facts |= {
        "packages": ", ".join(card.get("extras", ())),
        "superseded by": card.get("superseded_by", ""),
        "differs": card.get("differs", ""),
    }
    return "\n".join(f"- {key}: {value}" for key, value in facts.items() if value)


def _needed(card: Mapping[str, Any]) -> list[str]:
    """What a metric needs, in words."""
    words = {**NEEDS, **registry.observation_titles()}
    return [words.get(need, need) for need in card.get("needs", ())]


def _strength(card: Mapping[str, Any]) -> str:
    """The argument of an attack that is swept, and the values that are tried by default."""
    argument, values = card.get("strength", ("", ()))
    if argument:
        return f"`{argument}` {listed([str(v) for v in values])}"
    return ""


def better(card: Mapping[str, Any]) -> str:
    """Which values of a metric are good, for pages: higher, lower, near gold, or a number."""
    value = card.get("better", "")
    if isinstance(value, float):
        return f"{value:g}"
    return {"gold": "near gold"}.get(value, value)


def _unit(card: Mapping[str, Any]) -> str:
    unit = card.get("unit", "")
    margin = UNITS[unit].margin
    return f"{unit}; a difference of {margin:g} matters" if margin else unit


def _definition(member: Member) -> str:
    """The docstring of the function without the lines that describe arguments."""
    own = {a.name for a in member.arguments if a.doc}
    lines = []
    for names, text in registry.described(member.doc):
        if not names:
            lines.append(text)
        elif not own.issuperset(names.split(", ")):
            lines.append(f"{names}: {text}")
    return "\n".join(lines).strip()


def _arguments(member: Member) -> str:
    lines = []
    for a in member.own.values():
        lines.append(
            f"- `{a.name}`: {_kind(a)}, default {_default(a)}" + (f". {a.doc}" if a.doc else "")
        )
    if member.room in NOTES:
        note = [NOTES[member.room], ""]
    else:
        note = []
    return "\n".join(["## Arguments", "", *note, *lines]) if lines else ""


def _kind(argument: Argument) -> str:
    wanted = argument.annotation
    if wanted == "Term":
        return "a term of expunge.losses.terms, by name (nll, kl)"
    if wanted.startswith("Literal["):
        return "one of " + wanted[8:-1]
    return argument.kind or "any"


def _default(argument: Argument) -> str:
    return argument.default or "none: it must be given"


def arguments_of(args: Mapping[str, Any], link: str = " ") -> str:
    """Arguments with their values in one line: ``beta 0.5, kind mild``."""
    return ", ".join(
        f"{key}{link}{value:g}" if isinstance(value, float) else f"{key}{link}{value}"
        for key, value in args.items()
    )


def _presets(member: Member) -> str:
    said = comments(member)
    settings = member.card.get("settings", {})
    lines = [
        f"- {name}: {arguments_of(args)}"
        for name, args in settings.items()
        if not name.endswith("builtin")
    ]
    mine = [
        f"- {name}: {arguments_of(args)}"
        for name, args in settings.items()
        if name.endswith("builtin")
    ]
    parts = (
        [
            "\n".join(
                ["## Published settings", "", *lines, *(["", f"Source: {said}"] if said else [])]
            )
        ]
        if lines
        else []
    )
    if mine:
        parts.append(
            "\n".join(
                [
                    "## Settings for the built-in case",
                    "",
                    *mine,
                    "",
                    "Found by trying a few on the case of seed 0.",
                ]
            )
        )
    return "\n\n".join(parts)


def comments(member: Member) -> str:
    """The comments that stand at the card's settings: where the numbers come from."""
    text = (registry.HERE / member.room / f"{member.name}.py").read_text(encoding="utf-8")
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        if (
            isinstance(node, ast.keyword)
            and node.arg == "settings"
            and isinstance(node.value, ast.Dict)
        ):
            first = node.lineno - 1
            while lines[first - 1].strip().startswith("#"):
                first -= 1
            source = re.sub(
                r"(?m)^ *#.*(?:\n *#.*)+", _one_line, "\n".join(lines[first : node.end_lineno])
            )
            return "; ".join(
                line.split("#", 1)[1].strip() for line in source.splitlines() if "#" in line
            )
    return ""


def _one_line(block: re.Match[str]) -> str:
    return "# " + " ".join(line.strip().lstrip("# ") for line in block[0].splitlines())


def _aliases(member: Member) -> str:
    lines = [f"- `{alias}`: {arguments_of(args)}" for alias, args in member.published_as.items()]
    return "\n".join(["## Also published as", "", *lines]) if lines else ""


def published_of(member: Member, split: str) -> Published | None:
    """What others measured on a benchmark's split, None if nothing is known; the module is imported
    for it.
    """
    text = (registry.HERE / member.room / f"{member.name}.py").read_text(encoding="utf-8")
    if member.room != "benchmarks" or "\ndef published(" not in text:
        return None
    split = split.partition(":")[0] or next(
        a.default.strip("'\"") for a in member.arguments if a.name == "split"
    )
    found: Published = registry.load("benchmarks", member.name).published(split)
    return found if found.numbers else None


def published(member: Member, split: str) -> str:
    """The numbers of ``published_of`` as a section of a page, a line for each model, under their
    protocol; '' if there are none.
    """
    found = published_of(member, split)
    if found is None:
        return ""
    split = split.partition(":")[0] or next(
        a.default.strip("'\"") for a in member.arguments if a.name == "split"
    )
    lines = [f"- {label}: {arguments_of(numbers)}" for label, numbers in found.numbers.items()]
    note = "Measured by others on large models, to orient by; in the units of `expunge eval`."
    how = f"Protocol: {found.protocol}." + (
        f" `--subset {found.subset}` asks and scores so." if found.subset else ""
    )
    return "\n".join([f"## Published numbers: {split}", "", note, how, "", *lines])


def _how(member: Member) -> str:
    """The command line that runs it."""
    name, case = member.name, "--benchmark tofu:forget10"
    asks = "multiple choice" in member.card.get("family", ())  # these bring nothing to train on
    words = {
        "methods": f"expunge unlearn {name} --model runs/original {case} --out "
        f"runs/{name}{_example(member)}",
        "attacks": f"expunge attack {name} --model runs/npo --gold runs/gold --original "
        f"runs/original {case} --out runs/npo-{name}",
        "metrics": f"expunge eval --model runs/npo --gold runs/gold {case} --metrics {name} --out "
        f"runs/npo-eval",
        "benchmarks": f"expunge eval --model runs/npo --benchmark {_split(member)} --out "
        f"runs/npo-{name}"
        if asks
        else f"expunge train --model tiny --benchmark {_split(member)} --on full --out "
        f"runs/original",
        "guards": f"expunge guard {name} --model runs/original {case} --out runs/{name}\n"
        f"expunge eval --model runs/{name} {case} --out runs/{name}-eval",
    }[member.room]
    return f"## Run it\n\n```\n{words}\n```" if words else ""


def _example(member: Member) -> str:
    first = next(
        (a for a in member.arguments if a.annotation in ("int", "float") and a.default), None
    )
    return f" --{first.name} {first.default}" if first else ""


def _split(member: Member) -> str:
    default = next((a.default.strip("'\"") for a in member.arguments if a.name == "split"), "")
    return member.name + (f":{default}" if default not in ("", "default") else "")
