"""A bench on a benchmark with stages: every metric from stage to stage, as tables and as small
drawings side by side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from expunge.experiments.sweep.table import FORGET, mean_of, ordered, ranged, short
from expunge.report import markdown
from expunge.report.plots.lines import Line, LinePanel, line_grid
from expunge.report.plots.marks import GOLD, ORIGINAL, Style, styles


def names_of(found: Mapping[str, Any]) -> list[str]:
    """The stages in order; none if the benchmark has none."""
    return list(
        next(
            (
                row["at_settings"]["stages"]
                for _, row in ordered(found)
                if "stages" in row["at_settings"]
            ),
            (),
        )
    )


def keys_of(found: Mapping[str, Any]) -> list[str]:
    """The measurements that any method has a number of after any stage, what is forgotten first."""
    stages = [
        stage
        for _, row in ordered(found)
        for stage in row["at_settings"].get("stages", {}).values()
    ]
    keys = dict.fromkeys(k for stage in stages for k in stage if mean_of(stage, k) is not None)
    return sorted(keys, key=lambda k: k != FORGET)


def tables(found: Mapping[str, Any]) -> list[str]:
    """Markdown: for each metric a row for each method and a column for each stage, between original
    and gold; [] without stages.
    """
    names = names_of(found)
    if not names:
        return []
    parts = ["## Stage by stage", "", "![every metric from stage to stage](stages.svg)", ""]
    parts += [
        "Each column holds what that stage asks, measured after it; original and gold are asked "
        "what the benchmark as a whole asks.",
        "",
    ]
    parts += ["The tables above are those after the last stage, with the cost of all.", ""]
    for key in keys_of(found):
        side = {n: ranged(found.get(n, {}).get(key)) for n in ("original", "gold")}
        rows = []
        for name, row in ordered(found):
            rows.append(
                [
                    name,
                    side["original"],
                    *(ranged(row["at_settings"]["stages"][n].get(key)) for n in names),
                    side["gold"],
                ]
            )
        parts += [f"### {key}", "", markdown.table(["", "original", *names, "gold"], rows), ""]
    return parts


def curves(found: Mapping[str, Any]) -> Markup:
    """A panel for each metric, a line for each method over the number of the stage; 0 is the
    original, gold is dashed.
    """
    names = names_of(found)
    keys = keys_of(found)
    looks = styles([name for name, _ in ordered(found)], (), ())
    fixed = {
        name: style for name, style in (("original", ORIGINAL), ("gold", GOLD)) if name in found
    }
    told = "nothing"
    if keys:
        told = "; ".join(
            f"{name}: {short(mean_of(row['at_settings'], keys[0]))}" for name, row in ordered(found)
        )
    alt = (
        f"{len(keys)} metrics over {len(names)} stages. {keys[0] if keys else ''} after the last "
        f"one: {told}."
    )
    return line_grid([_panel(found, key, names, looks) for key in keys], {**fixed, **looks}, alt)


def _panel(
    found: Mapping[str, Any], key: str, names: Sequence[str], looks: Mapping[str, Style]
) -> LinePanel:
    """One metric from stage to stage."""
    start = mean_of(found.get("original", {}), key)
    lines = []
    for name, row in ordered(found):
        points = [] if start is None else [(0.0, start)]
        for i, stage in enumerate(names, 1):
            value = mean_of(row["at_settings"]["stages"][stage], key)
            points += [] if value is None else [(float(i), value)]
        if points:
            lines.append(
                Line(
                    [x for x, _ in points],
                    [y for _, y in points],
                    looks[name],
                    width=1.6,
                    markers=7.0,
                )
            )
    if start is not None:
        lines.append(Line([0.0], [start], ORIGINAL, width=0.0, markers=9.0))
    return LinePanel(
        key,
        lines,
        x_title="stage (0: original)",
        x_limits=(-0.05 * len(names), 1.05 * len(names)),
        x_ticks=[(float(i), str(i)) for i in range(len(names) + 1)],
        level=mean_of(found.get("gold", {}), key),
        y_ticks=4,
        bold_title=True,
    )
