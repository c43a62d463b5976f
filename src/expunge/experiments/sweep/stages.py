"""A bench on a benchmark with stages: every metric from stage to stage, as tables and as small drawings side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from expunge.experiments.sweep.table import FORGET, markdown, mean_of, ordered, ranged, short
from expunge.report.svg import GOLD, INK, ORIGINAL, Style, drawing, fitted, grid, label, line, marker, path, styles

WIDE, HIGH, ACROSS = 300.0, 210.0, 3  # a panel, and how many stand beside one another
LEGEND = 200.0  # the width of a name in the list on top


def names_of(found: Mapping[str, Any]) -> list[str]:
    """The stages in order; none if the benchmark has none."""
    return list(next((row["at_settings"]["stages"] for _, row in ordered(found) if "stages" in row["at_settings"]), ()))


def keys_of(found: Mapping[str, Any]) -> list[str]:
    """The measurements that any method has a number of after any stage, what is forgotten first."""
    stages = [stage for _, row in ordered(found) for stage in row["at_settings"].get("stages", {}).values()]
    keys = dict.fromkeys(k for stage in stages for k in stage if mean_of(stage, k) is not None)
    return sorted(keys, key=lambda k: k != FORGET)


def tables(found: Mapping[str, Any]) -> list[str]:
    """Markdown: for each metric a row for each method and a column for each stage, between original and gold; [] without stages."""
    names = names_of(found)
    if not names:
        return []
    parts = ["## Stage by stage", "", "![every metric from stage to stage](stages.svg)", ""]
    parts += [
        "Each column holds what that stage asks, measured after it; original and gold are asked what the benchmark as a whole asks.",
        "",
    ]
    parts += ["The tables above are those after the last stage, with the cost of all.", ""]
    for key in keys_of(found):
        side = {n: ranged(found.get(n, {}).get(key)) for n in ("original", "gold")}
        rows = [
            [name, side["original"], *(ranged(row["at_settings"]["stages"][n].get(key)) for n in names), side["gold"]]
            for name, row in ordered(found)
        ]
        parts += [f"### {key}", "", markdown(["", "original", *names, "gold"], rows), ""]
    return parts


def curves(found: Mapping[str, Any]) -> Markup:
    """A panel for each metric: its value against the number of the stage, a line for each method; 0 is the original, gold is dashed."""
    names, keys = names_of(found), keys_of(found)
    drawn = styles([name for name, _ in ordered(found)], (), ())
    legend = [("original", ORIGINAL)] * ("original" in found) + [("gold", GOLD)] * ("gold" in found) + list(drawn.items())
    across = int(ACROSS * (WIDE + 60.0) // LEGEND)
    parts: list[Markup] = []
    for i, (name, style) in enumerate(legend):
        x, y = 16.0 + LEGEND * (i % across), 18.0 + 20.0 * (i // across)
        parts += [marker(x, y - 4, style, 5.0), label(x + 12, y, name[:26])]
    top = 20.0 * -(-len(legend) // across) + 52.0
    for i, key in enumerate(keys):
        left, high = 60.0 + (WIDE + 60.0) * (i % ACROSS), top + (HIGH + 84.0) * (i // ACROSS)
        parts += panel(found, key, names, drawn, left, high)
    rows = -(-len(keys) // ACROSS)
    told = "; ".join(f"{name}: {short(mean_of(row['at_settings'], keys[0]))}" for name, row in ordered(found)) if keys else "nothing"
    alt = f"{len(keys)} metrics over {len(names)} stages. {keys[0] if keys else ''} after the last one: {told}."
    return drawing((WIDE + 60.0) * min(ACROSS, max(len(keys), 1)) + 20.0, top + (HIGH + 84.0) * rows, alt, parts)


def panel(found: Mapping[str, Any], key: str, names: list[str], drawn: Mapping[str, Style], left: float, high: float) -> list[Markup]:
    """One metric with its axes, its upper left corner at (left, high)."""
    lines: dict[str, list[tuple[int, float]]] = {}
    start, gold = mean_of(found.get("original", {}), key), mean_of(found.get("gold", {}), key)
    for name, row in ordered(found):
        values = [start, *(mean_of(row["at_settings"]["stages"][n], key) for n in names)]
        lines[name] = [(i, v) for i, v in enumerate(values) if v is not None]
    seen = [v for points in lines.values() for _, v in points] + [v for v in (gold,) if v is not None]
    x, y = fitted([0.0, float(len(names))], left, left + WIDE, unit=False), fitted(seen, high + HIGH, high)
    ticks = [(x(i), str(i)) for i in range(len(names) + 1)]
    parts = [g for g in grid(x, y, "stage (0: original)", "", ticks, most=4) if g]
    parts.append(label(left, high - 12, key, font_weight="600", fill=INK))
    if gold is not None:
        parts.append(line(left, y(gold), left + WIDE, y(gold), GOLD.colour, 1.5, "5 3"))
    for name, points in lines.items():
        at = [(x(i), y(v)) for i, v in points]
        parts += [path(at, drawn[name], 1.6), *(marker(*p, drawn[name], 4.0) for p in at[start is not None :])]
    return parts + ([marker(x(0), y(start), ORIGINAL, 5.0)] if start is not None else [])
