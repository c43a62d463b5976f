"""A bench as Markdown and on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from expunge.core.errors import listed
from expunge.core.escape import escaped, terminal
from expunge.experiments.sweep.hardness import GARBLED
from expunge.experiments.sweep.measures import FORGET, NEIGHBOR, SAID, STRENGTH, UTILITY
from expunge.experiments.sweep.recipe import attack_for
from expunge.pipeline.guarded import SUPPRESSED
from expunge.report import markdown
from expunge.report.format import NONE
from expunge.report.format import short as decimals

HEAD = (
    "#",
    "",
    "n",
    "quality",
    "forget",
    "retain",
    "neighbour",
    "relearned",
    "garbled",
    "said",
    "utility",
    "steps",
    "tokens",
    "CPU s",
    "equal utility: u",
    "forget",
    "ES",
)
OF_TEXTS = ("neighbour", "garbled", "said", "utility", "tokens", "ES")  # empty without texts
Row = Mapping[str, Any]
NOTES = """
- **quality**, by which the rows are ordered: the harmonic mean, within each seed, of closeness (1 -
  |p - p of gold| / |p of the original - p of gold| on forget: forgetting more than gold costs as
  much as forgetting less), the share of the original's probability kept on retain and on
  neighbors, and resistance (1 - (p - p of gold) / (p of the original - p of gold), all three after
  relearning). 1: like gold on all sides; 0: as far off as the original on one of them.
- **forget, retain, neighbor**: mean probability of the right {answer}, mean over seeds [{what}]. On
  forget the value to reach is gold's, which never saw those rows.
- **relearned**: forget probability after {steps} steps of relearning at rate {rate:g} on
  {share:.0%} of the forget groups, asked of the others. Gold relearns too: what lies above gold's
  value was hidden.
{said}- **at equal utility**: the original's weights are mixed into the unlearned ones, theta =
  u original + (1 - u) unlearned, with the least u (to 1/128) that brings the retain probability to
  {level:.0%} of the original's; then {again} measured
  again. u = 0: it kept enough by itself. u = 1: nothing less than the original does.
- **#** is the number of the method in tradeoff.svg; * marks the front: no other method is nearer to
  gold on forget and keeps more at its settings.
- {spent}; **CPU s**: CPU time of the change alone, one
  thread, measuring not among it.
- Settings are those of the method's card for this benchmark, else the house's, which are made for
  larger models.
- One attack is tried here, with one budget. What resists it may still be hidden: see
  `expunge demo`.
"""
SAID_NOTE = """- **garbled**: share of the answers to forget questions that the original finds
  stranger than 99 % of gold's answers (no refusals among them): no wrong facts but no language;
  ! marks more than {garbled:.0%}. **said**: ROUGE-L recall of those answers; **utility**: model
  utility.
"""
# what NOTES says of models that write texts, and of those that do not
WORDS = {
    True: {
        "answer": "answer",
        "said": SAID_NOTE.format(garbled=GARBLED),
        "again": "forget probability and extraction strength (ES) are",
        "spent": "**steps, tokens**: optimizer steps of all stages, tokens that went forward and "
        "backward through\n  the model in training (teachers not among them)",
    },
    False: {
        "answer": "class",
        "said": "",
        "again": "forget probability is",
        "spent": "**steps**: optimizer steps of all stages",
    },
}
UNRANKED = """
- **quality** needs a gold (--gold): nothing else says how much a model that never saw the rows
  would know. Without it the rows are ordered by the forget probability at equal utility, where less
  may be too little.
"""


def short(value: float | None) -> str:
    """``.12``; the dash for no value."""
    return NONE if value is None else decimals(value)


def ranged(found: Mapping[str, Any] | None) -> str:
    """``.12 [.10 .15]``; of a single value without an interval ``.12``."""
    if not found or found["mean"] is None:
        return NONE
    if found["low"] is None:
        return short(found["mean"])
    warning = f", {found['warning']}" if found.get("warning") else ""
    return f"{short(found['mean'])} [{short(found['low'])} {short(found['high'])}]{warning}"


def mean_of(row: Row, key: str) -> float | None:
    return row[key]["mean"] if key in row else None


def ordered(found: Mapping[str, Any], part: str = "at_settings") -> list[tuple[str, Row]]:
    """Methods with numbers, best first: by quality, and without a gold by the forget probability at
    equal utility.
    """

    def rank(item: tuple[str, Row]) -> tuple[float, float, str]:
        name, row = item
        quality = mean_of(row[part], "quality")
        left = mean_of(row[part]["at_level"], FORGET)
        return (1.0 if quality is None else -quality, 1.0 if left is None else left, name)

    return sorted(((name, row) for name, row in found["methods"].items() if part in row), key=rank)


def front(found: Mapping[str, Any]) -> set[str]:
    """The methods that none outdoes both in nearness to gold's forget probability (0 without a
    gold) and in keeping, at their settings.
    """
    gold = mean_of(found.get("gold", {}), FORGET) or 0.0
    points: dict[str, tuple[float, float]] = {}
    for name, row in ordered(found):
        forget = mean_of(row["at_settings"], FORGET)
        kept = mean_of(row["at_settings"], UTILITY)
        if forget is not None and kept is not None:
            points[name] = (abs(forget - gold), kept)
    best = set()
    for name, (far, kept) in points.items():
        if not any(f <= far and k >= kept and (f, k) != (far, kept) for f, k in points.values()):
            best.add(name)
    return best


# ------------------------------------------------------------------ Markdown


def page(found: Mapping[str, Any]) -> str:
    """bench.md."""
    plan = found["plan"]
    rows = ordered(found)
    seeds = plan["seeds"]
    what = "lowest highest" if len(seeds) > 1 else "95 % over groups"
    parts = ["# Bench", "", f"`{found['command']}`", ""]
    parts += [
        f"{len(rows)} methods on {plan['benchmark']}, seeds {', '.join(map(str, seeds))}; "
        f"{found['machine']}; "
        f"{found['cpu_seconds']:.0f} CPU s for cells and measuring.",
        "",
        "## At their settings, and at equal utility",
        "",
        "![forget against retain](tradeoff.svg)",
        "",
    ]
    attack = attack_for(plan["benchmark"], plan["relearn"])
    facts = {
        "steps": attack["relearn_steps"],
        "rate": attack["relearn_lr"],
        "share": attack["share"],
    }
    notes = NOTES.format(what=what, level=plan["level"], **WORDS[of_texts(found)], **facts)
    parts += [
        markdown.table(head_of(found), lines_of(found)),
        notes + ("" if "gold" in found else UNRANKED.lstrip()),
    ]
    if plan["budget"] and any("at_budget" in row for _, row in rows):
        parts += [
            f"## At equal budget: {plan['budget']} optimizer steps",
            "",
            "Settings as above but for the steps. Stages with steps of their",
        ]
        parts[-1] += (
            " own keep them, so a method may stay below or above; `=` marks those whose settings "
            "have that many anyway."
        )
        again = [
            shown_of(
                found,
                _cells(f"{name} =" if row["at_budget"]["same"] else name, i, row, "at_budget"),
            )
            for i, (name, row) in enumerate(ordered(found, "at_budget"), 1)
        ]
        parts += ["", markdown.table(head_of(found), again), ""]
    parts += [
        "## Settings",
        "",
        markdown.table(
            ["", "settings", "from"], [_settings(name, row) for name, row in sorted(rows)]
        ),
        "",
    ]
    told = guards_told(found)
    if told:
        parts += [told, ""]
    failed = [(name, e) for name, row in found["methods"].items() for e in row["errors"]]
    if failed:
        parts += ["## Failed", "", *(f"- {name}, {e}" for name, e in failed), ""]
    if found["skipped"]:
        parts += ["## Skipped", "", *(f"- {why}" for why in found["skipped"].values()), ""]
    return "\n".join(parts)


def guards_told(found: Mapping[str, Any]) -> str:
    """What the rows of guards mean; '' without one."""
    names = [name for name, row in found["methods"].items() if row.get("guard")]
    if not names:
        return ""
    return f"{listed(names)}: {SUPPRESSED}; relearned is what the model behind it relearns."


def lines_of(found: Mapping[str, Any]) -> list[list[str]]:
    """The main table under ``head_of``: original, gold, then the methods, best first."""
    best = front(found)
    lines = [
        _line(name, "", found[name], len(HEAD)) for name in ("original", "gold") if name in found
    ]
    lines += [
        _cells(f"{n}*" if n in best else n, i, row, "at_settings")
        for i, (n, row) in enumerate(ordered(found), 1)
    ]
    return [shown_of(found, line) for line in lines]


def of_texts(found: Mapping[str, Any]) -> bool:
    """Whether the models write texts; an image classifier does not, and has no such columns."""
    rows = [found.get("original", {})]
    rows += [row["at_settings"] for _, row in ordered(found)]
    known = [row for row in rows if FORGET in row]
    return not known or any(SAID in row or STRENGTH in row for row in known)


def head_of(found: Mapping[str, Any]) -> list[str]:
    """The heading of the main table."""
    return shown_of(found, HEAD)


def shown_of(found: Mapping[str, Any], cells: Sequence[str]) -> list[str]:
    """Of the cells of a line under HEAD those that say something of such models."""
    if of_texts(found):
        return list(cells)
    return [cell for name, cell in zip(HEAD, cells, strict=True) if name not in OF_TEXTS]


def _line(name: str, i: int | str, row: Row, wide: int) -> list[str]:
    """The cells of original and gold."""
    if FORGET in row:
        n = len(row[FORGET]["values"])
    else:
        n = 0
    cells = [str(i), name, str(n), *_measured(row)]
    return [
        *cells,
        *[""] * (wide - len(cells) - 2),
        short(mean_of(row, FORGET)),
        short(mean_of(row, STRENGTH)),
    ]


def _measured(row: Row) -> list[str]:
    """Quality to utility."""
    cells = [
        "" if "quality" not in row else ranged(row["quality"]),
        ranged(row.get(FORGET)),
        ranged(row.get(UTILITY)),
    ]
    cells += [short(mean_of(row, NEIGHBOR)), ranged(row.get("relearned")), garbled_share(row)]
    return [*cells, short(mean_of(row, SAID)), short(mean_of(row, "model_utility"))]


def garbled_share(row: Row) -> str:
    """The share of garbled answers, with ! where it is more than GARBLED; empty for what is not
    asked (original and gold).
    """
    if "garbled" not in row:
        return ""
    share = mean_of(row, "garbled")
    return short(share) + (" !" if share is not None and share > GARBLED else "")


def _cells(name: str, i: int, row: Row, part: str) -> list[str]:
    some = row[part]
    level = row[part]["at_level"]
    first = [str(i), name, str(row["n"]), *_measured(some)]
    cost = [f"{some['steps']:g}", f"{some['tokens'] / 1000:.0f}k", f"{some['seconds']:.1f}"]
    return [
        *first,
        *cost,
        ranged(level["u"]),
        ranged(level.get(FORGET)),
        ranged(level.get(STRENGTH)),
    ]


def _settings(name: str, row: Row) -> list[str]:
    return [
        name,
        f"`{row['settings']}`" if row["settings"] else "",
        "its card" if row["preset"] else "house",
    ]


# ------------------------------------------------------------------ terminal


def shown(found: Mapping[str, Any]) -> None:
    """The table on the terminal, in the order of bench.md."""
    from rich import box
    from rich.table import Table

    console = terminal()
    best = front(found)
    sheet = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        title=f"Bench on {found['plan']['benchmark']}",
        title_justify="left",
    )
    sheet.add_column("#", no_wrap=True, justify="right", min_width=2)
    sheet.add_column("method", overflow="fold")
    heads = ["n", "quality", "forget", "retain", "neigh-\nbour", "re-\nlearned", "garbled", "CPU s"]
    texts = of_texts(found)
    for head in heads if texts else [*heads[:4], heads[5], heads[7]]:
        sheet.add_column(
            head,
            justify="right",
            no_wrap=True,
            min_width=max(4 if head != "n" else 1, *map(len, head.split("\n"))),
        )
    for name, look in (("original", "dim"), ("gold", "yellow")):
        if name in found:
            row = found[name]
            keys = (FORGET, UTILITY, *([NEIGHBOR] if texts else []), "relearned")
            values = [short(mean_of(row, k)) for k in keys]
            n = str(len(row[FORGET]["values"]))
            cells = ["", name, n, "", *values, *([""] if texts else []), ""]
            sheet.add_row(*cells, style=look, end_section=name == "gold")
    for i, (name, row) in enumerate(ordered(found), 1):
        some = row["at_settings"]
        keys = ("quality", FORGET, UTILITY, *([NEIGHBOR] if texts else []), "relearned")
        values = [short(mean_of(some, k)) for k in keys]
        values += [garbled_share(some)] if texts else []
        told = f"{name}*" if name in best else name
        sheet.add_row(str(i), told, str(row["n"]), *values, f"{some['seconds']:.1f}")
    console.print(sheet)
    console.print(_explained(found), style="dim", markup=False, highlight=False)
    if guards_told(found):
        console.print(escaped(guards_told(found)), style="dim", markup=False, highlight=False)
    for name, row in found["methods"].items():
        for error in row["errors"]:
            console.print(
                escaped(f"failed: {name}, {error}"), style="red", markup=False, highlight=False
            )
    for why in found["skipped"].values():
        console.print(escaped(f"skipped: {why}"), style="dim", markup=False, highlight=False)


def _explained(found: Mapping[str, Any]) -> str:
    """What stands below the table."""
    if "gold" not in found:
        return "no quality: give --gold, a model that never saw the forget rows"
    if of_texts(found):
        also = f"garbled: answers that are no language, ! above {GARBLED:.0%}; all of it"
    else:
        also = "all of it"
    return (
        "quality: nearness to gold on forget (both sides), kept on retain and neighbors, and "
        f"what relearning leaves forgotten;\n{also} is explained in bench.md"
    )
