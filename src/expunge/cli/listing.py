"""The catalogue as text: ``expunge list`` and ``show``, and what ``make catalogue`` writes into README.md and docs/.

Everything here is read from cards, signatures and docstrings; no member is imported.
``python -m expunge.cli.listing --write`` or ``--check``.
"""

from __future__ import annotations

import ast
import json
import re
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from expunge import registry
from expunge.core.benchmark import Published
from expunge.core.errors import Refused
from expunge.core.units import UNITS
from expunge.registry import ROOMS, SINGULAR, Argument, Member
from expunge.report.format import short

EVIDENCE = {
    "reference": "reference value",  # a number made outside this repository is matched
    "theorem": "theorem",
    "oracle": "oracle by hand",
    "reconstructed": "reconstructed",
}
NEEDS = {
    "S1": "one forward over the answers",
    "S2": "generated answers",
    "paraphrase": "paraphrased answers",
    "perturbed": "wrong answers",
    "moments": "mean and variance of the log-probabilities",
    "gold": "the same of a gold model",
    "lens": "hidden states through the head",
    "depth": "hidden states patched into the original model",
    "states": "hidden states",
    "divergence": "the next-token distributions of a gold model beside this one's",
    "choices": "hidden states of right and wrong answers",
    "neighbours": "the same with words replaced by a masked language model",
    "others": "several models of either side",
}
CLAIMS = {
    "lowers_logp": "lowers the log-probability of what is forgotten",
    "raises_refusal": "raises the log-probability of a refusal",
    "moves_hidden": "moves the hidden states of what is forgotten",
}
NOTES = {  # what of the arguments can be said on the command line
    "metrics": "Of the function; a benchmark may set them, the command line does not.",
    "benchmarks": "The split stands after the colon; data, holdout and subset are options; the rest is for Python.",
}
NO_EFFECT = 0.05  # a fall of the forget probability below this is none
MARK = re.compile(r"<!-- catalogue:(\w+) -->\n.*?<!-- /catalogue -->", re.DOTALL)
WRITTEN = "<!-- written by `make catalogue` from the member's card and signature; edit that, not this -->"


# ------------------------------------------------------------------ rows


def root() -> Path:
    """The repository that the package lies in; of an installed package, a folder without README and results."""
    return registry.HERE.parents[1]


EFFECT = ("forget/probability", "retain/probability")


def effects(where: Path | None = None) -> dict[str, Any]:
    """results/bench.json: what each method did to the built-in case. Empty if it was never measured or is not shipped."""
    file = (where or root()) / "results" / "bench.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def effect(name: str, found: Mapping[str, Any]) -> str:
    """``forget .12, retain .93 (gold .10, .95)``, means over the seeds of the bench; or not measured, or that nothing happened."""
    of = lambda part: [part.get(k, {}).get("mean") for k in EFFECT]
    mine = found.get("methods", {}).get(name, {}).get("at_settings", {})
    if None in of(mine):
        return "not measured"
    forget, retain = map(short, of(mine))
    gold = ", ".join(map(short, of(found["gold"])))
    fell = found["original"][EFFECT[0]]["mean"] - mine[EFFECT[0]]["mean"]
    return f"forget {forget}, retain {retain} (gold {gold})" + (": no effect here" if fell < NO_EFFECT else "")


def as_rows(room: str, where: Path | None = None) -> list[dict[str, Any]]:
    """The members of a room as plain data: name, room, summary, paper, url, evidence, effect, published_as. Effect is of methods only."""
    found = effects(where)
    return [_row(registry.brief(room, name), found) for name in registry.sound(room)]


def _row(member: Member, found: Mapping[str, Any]) -> dict[str, Any]:
    card = member.card
    made: dict[str, Any] = {"name": member.name, "room": member.room, "summary": member.summary}
    made |= {key: card.get(key, "") for key in ("paper", "url")} | {"evidence": _evidence(card)}
    made["effect"] = effect(member.name, found) if member.room == "methods" and found else None
    return made | {"published_as": {alias: dict(args) for alias, args in member.published_as.items()}}


def _evidence(card: Mapping[str, Any]) -> str:
    """How sure we are of a member; of a benchmark whose real rows were never seen, that."""
    return "loader only" if "loader only" in card.get("family", ()) else EVIDENCE[card.get("evidence", "oracle")]


# ------------------------------------------------------------------ for the terminal


def print_rooms(rooms: Iterable[str]) -> None:
    """Print the tables of rooms. Plain text: rich alone would cost a quarter of the time that a list may take."""
    print(listing(rooms))


def listing(rooms: Iterable[str]) -> str:
    """Aligned tables; on a terminal each line is cut to its width. Published names stand indented and are not counted."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    return "\n\n".join("\n".join(_cut(line, width) for line in _table(room)) for room in _some(rooms))


def _some(rooms: Iterable[str]) -> list[str]:
    asked = list(rooms)
    return asked if len(asked) == 1 else [room for room in asked if registry.names(room)]


def _table(room: str) -> list[str]:
    rows = as_rows(room)
    wide = max((len(r["name"]) for r in rows), default=0)
    sure = max((len(r["evidence"]) for r in rows), default=0)
    far = max((len(r["effect"] or "") for r in rows), default=0)
    lines = [f"{room} ({len(rows)})" if rows else f"{room}: none yet"]
    for row in rows:
        lines.append(
            f"  {row['name']:<{wide}}  {row['evidence']:<{sure}}  " + (f"{row['effect']:<{far}}  " if far else "") + row["summary"]
        )
        lines += [f"      {alias} = {row['name']}({_settings(args, '=')})" for alias, args in row["published_as"].items()]
    return lines


def _cut(line: str, width: int) -> str:
    return line if not width or len(line) <= width else line[: width - 1] + "…"


# ------------------------------------------------------------------ one page


def page(room: str, name: str, where: Path | None = None, split: str = "") -> str:
    """Markdown page of a member (or of the member behind a published name) that reads well as plain text, too.

    ``split``: of a benchmark, which one's published numbers are shown; its default split's if left away.
    """
    member = registry.member(room, name)
    parts = [f"# {member.name}", member.summary, _facts(member, effects(where)), _definition(member), _arguments(member)]
    parts += [_presets(member), _aliases(member), published(member, split), _how(member)]
    if name != member.name:
        parts.insert(0, f"{name} is {member.name} with {_settings(member.published_as[name], ' ')}.")
    return "\n\n".join(part for part in parts if part) + "\n"


def _facts(member: Member, found: Mapping[str, Any]) -> str:
    card = member.card
    source = f"{card.get('paper', '')}" + (f" <{card['url']}>" if card.get("url") else "")
    facts = {"room": member.room, "paper": source, "where": card.get("where", ""), "family": ", ".join(card.get("family", ()))}
    facts |= {"evidence": _evidence(card)}
    if member.room == "methods":
        facts["effect on the built-in case"] = effect(member.name, found)
    claims = card.get("claims", "")
    facts |= {"a small step": CLAIMS.get(claims, claims.replace("_", " ")), "rights of the adversary": ", ".join(card.get("rights", ()))}
    facts |= {"undoes": card.get("defeats", "").replace("_", " "), "better": _better(card), "unit": _unit(card)}
    facts |= {"needs": ", ".join(NEEDS.get(n, n) for n in card.get("needs", ())), "reads": ", ".join(card.get("reads", ()))}
    facts |= {
        "packages": ", ".join(card.get("extras", ())),
        "superseded by": card.get("superseded_by", ""),
        "differs": card.get("differs", ""),
    }
    return "\n".join(f"- {key}: {value}" for key, value in facts.items() if value)


def _better(card: Mapping[str, Any]) -> str:
    better = card.get("better", "")
    return f"{better:g}" if isinstance(better, float) else {"gold": "near gold"}.get(better, better)


def _unit(card: Mapping[str, Any]) -> str:
    unit = card.get("unit", "")
    margin = UNITS[unit].margin
    return f"{unit}; a difference of {margin:g} matters" if margin else unit


def _definition(member: Member) -> str:
    """The docstring of the function without the lines that describe arguments."""
    own = {a.name for a in member.arguments if a.doc}
    return "\n".join(line for line in member.doc.splitlines() if not own.issuperset(line.strip().split(": ")[0].split(", "))).strip()


def _arguments(member: Member) -> str:
    lines = [f"- `{a.name}`: {_kind(a)}, default {_default(a)}" + (f". {a.doc}" if a.doc else "") for a in member.own.values()]
    note = [NOTES[member.room], ""] if member.room in NOTES else []
    return "\n".join(["## Arguments", "", *note, *lines]) if lines else ""


def _kind(argument: Argument) -> str:
    wanted = argument.annotation
    if wanted == "Term":
        return "a term of expunge.losses.terms, by name (nll, kl)"
    return "one of " + wanted[8:-1] if wanted.startswith("Literal[") else argument.kind or "any"


def _default(argument: Argument) -> str:
    return argument.default or "none: it must be given"


def _settings(args: Mapping[str, Any], link: str = " ") -> str:
    return ", ".join(f"{key}{link}{value:g}" if isinstance(value, float) else f"{key}{link}{value}" for key, value in args.items())


def _presets(member: Member) -> str:
    said = comments(member)
    settings = member.card.get("settings", {})
    lines = [f"- {name}: {_settings(args)}" for name, args in settings.items() if not name.endswith("builtin")]
    mine = [f"- {name}: {_settings(args)}" for name, args in settings.items() if name.endswith("builtin")]
    parts = ["\n".join(["## Published settings", "", *lines, *(["", f"Source: {said}"] if said else [])])] if lines else []
    if mine:
        parts.append("\n".join(["## Settings for the built-in case", "", *mine, "", "Found by trying a few on the case of seed 0."]))
    return "\n\n".join(parts)


def comments(member: Member) -> str:
    """The comments that stand at the card's settings: where the numbers come from."""
    text = (registry.HERE / member.room / f"{member.name}.py").read_text(encoding="utf-8")
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.keyword) and node.arg == "settings" and isinstance(node.value, ast.Dict):
            first = node.lineno - 1 - lines[node.lineno - 2].strip().startswith("#")
            source = re.sub(r"(?m)^ *#.*(?:\n *#.*)+", _one_line, "\n".join(lines[first : node.end_lineno]))
            return "; ".join(line.split("#", 1)[1].strip() for line in source.splitlines() if "#" in line)
    return ""


def _one_line(block: re.Match[str]) -> str:
    return "# " + " ".join(line.strip().lstrip("# ") for line in block[0].splitlines())


def _aliases(member: Member) -> str:
    lines = [f"- `{alias}`: {_settings(args)}" for alias, args in member.published_as.items()]
    return "\n".join(["## Also published as", "", *lines]) if lines else ""


def published_of(member: Member, split: str) -> Published | None:
    """What others measured on a benchmark's split, None if nothing is known; the module is imported for it."""
    text = (registry.HERE / member.room / f"{member.name}.py").read_text(encoding="utf-8")
    if member.room != "benchmarks" or "\ndef published(" not in text:
        return None
    split = split.partition(":")[0] or next(a.default.strip("'\"") for a in member.arguments if a.name == "split")
    found: Published = registry.load("benchmarks", member.name).published(split)
    return found if found.numbers else None


def published(member: Member, split: str) -> str:
    """The numbers of ``published_of`` as a section of a page, a line for each model, under their protocol; '' if there are none."""
    found = published_of(member, split)
    if found is None:
        return ""
    split = split.partition(":")[0] or next(a.default.strip("'\"") for a in member.arguments if a.name == "split")
    lines = [f"- {label}: {_settings(numbers)}" for label, numbers in found.numbers.items()]
    note = "Measured by others on large models, to orient by; in the units of `expunge eval`."
    how = f"Protocol: {found.protocol}." + (f" `--subset {found.subset}` asks and scores so." if found.subset else "")
    return "\n".join([f"## Published numbers: {split}", "", note, how, "", *lines])


def _how(member: Member) -> str:
    """The command line that runs it."""
    name, case = member.name, "--benchmark tofu:forget10"
    asks = "multiple choice" in member.card.get("family", ())  # these bring nothing to train on
    words = {
        "methods": f"expunge unlearn {name} --model runs/original {case} --out runs/{name}{_example(member)}",
        "attacks": "expunge demo    # tries it on every method and on gold",
        "metrics": f"expunge eval --model runs/npo --gold runs/gold {case} --metrics {name} --out runs/npo-eval",
        "benchmarks": f"expunge eval --model runs/npo --benchmark {_split(member)} --out runs/npo-{name}"
        if asks
        else f"expunge train --model tiny --benchmark {_split(member)} --on full --out runs/original",
        "guards": "",
    }[member.room]
    return f"## Run it\n\n```\n{words}\n```" if words else ""


def _example(member: Member) -> str:
    first = next((a for a in member.arguments if a.annotation in ("int", "float") and a.default), None)
    return f" --{first.name} {first.default}" if first else ""


def _split(member: Member) -> str:
    default = next((a.default.strip("'\"") for a in member.arguments if a.name == "split"), "")
    return member.name + (f":{default}" if default not in ("", "default") else "")


# ------------------------------------------------------------------ README.md and docs/


def readme_table(room: str, where: Path) -> str:
    """The Markdown table of a room."""
    last = {"methods": "effect on the built-in case", "metrics": "better"}.get(room)
    head = [SINGULAR[room], "what it says" if room == "metrics" else "what it does", "paper", "evidence", *([last] if last else [])]
    lines = [_line(head), _line(["---"] * len(head))]
    for row in as_rows(room, where):
        name = row["name"]
        paper = f"[{row['paper']}]({row['url']})" if row["url"] else row["paper"]
        more = {"methods": row["effect"] or "not measured", "metrics": _better(registry.member(room, name).card)}
        cells = [f"[{name}](docs/{room}/{name}.md)", row["summary"], paper, row["evidence"]]
        lines.append(_line([*cells, more[room]] if last else cells))
        for alias, args in row["published_as"].items():
            lines.append(_line([f"· {alias}", f"{name} with {_settings(args)}", *[""] * (len(head) - 2)]))
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def papers(where: Path) -> str:
    """Which paper stands behind what: the index of papers."""
    found: dict[tuple[str, str], list[str]] = {}
    for room in ROOMS:
        for row in as_rows(room, where):
            if row["url"]:
                found.setdefault((row["paper"], row["url"]), []).append(f"[{row['name']}]({room}/{row['name']}.md)")
    lines = [f"- [{paper}]({url}): {', '.join(members)}" for (paper, url), members in sorted(found.items())]
    return "\n".join([WRITTEN, "# Papers", "", *lines]) + "\n"


def made(where: Path) -> dict[Path, str]:
    """Every file that the catalogue decides, with its text."""
    readme = where / "README.md"
    if not readme.is_file():
        raise Refused(f"{readme}: there is no such file; pages are written in the repository, not in an installed package")
    text = readme.read_text(encoding="utf-8")
    marked = MARK.findall(text)
    missing = [room for room in ROOMS if registry.names(room) and room not in marked]
    if missing:
        raise Refused(f"README.md lacks <!-- catalogue:{missing[0]} --> and <!-- /catalogue -->; that table stands between them")
    fill = lambda m: f"<!-- catalogue:{m[1]} -->\n{readme_table(m[1], where)}\n<!-- /catalogue -->"
    files = {readme: MARK.sub(fill, text), where / "docs" / "papers.md": papers(where)}
    return files | {where / "docs" / r / f"{n}.md": f"{WRITTEN}\n{page(r, n, where)}" for r in ROOMS for n in registry.names(r)}


def stale(where: Path) -> list[Path]:
    """Files that are missing, differ from what the catalogue says, or describe a member that is gone."""
    wanted = made(where)
    there = [file for room in ROOMS for file in (where / "docs" / room).glob("*.md")]
    changed = [file for file, text in wanted.items() if not file.is_file() or file.read_text(encoding="utf-8") != text]
    return sorted({*changed, *(file for file in there if file not in wanted)})


def write(where: Path) -> list[Path]:
    """Bring every stale file up to date and remove the pages of members that are gone; says which."""
    wanted, old = made(where), stale(where)
    for file in old:
        if file in wanted:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(wanted[file], encoding="utf-8")
        else:
            file.unlink()
    return old


def main(words: Sequence[str]) -> int:
    """``--write`` brings README.md and docs/ up to date; ``--check`` exits 1 if they are not."""
    if list(words) not in (["--write"], ["--check"]):
        print("python -m expunge.cli.listing --write | --check", file=sys.stderr)
        return 2
    try:
        changed = (write if words[0] == "--write" else stale)(root())
    except Refused as error:
        print(error, file=sys.stderr)
        return 1
    names = [str(file.relative_to(root())) for file in changed]
    if words[0] == "--write":
        print(f"written: {', '.join(names) or 'nothing, all was fresh'}")
    elif names:
        print(f"out of date: {', '.join(names)}; run: make catalogue", file=sys.stderr)
    return 1 if names and words[0] == "--check" else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
