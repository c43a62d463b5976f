"""The meta-evaluation as Markdown and as a drawing: a line per metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from expunge.core.units import FEW_GROUPS
from expunge.experiments.meta_evaluation.gather import BACK, STATES, UTILITY, by_attack
from expunge.report import markdown
from expunge.report.format import NONE
from expunge.report.format import short as decimals
from expunge.report.plots.canvas import INK, MUTED, to_file
from expunge.report.plots.marks import COLORS, Style
from expunge.report.plots.rows import Mark, Row, RowPanel, row_chart

HEAD = (
    "metric",
    "faithfulness (AUC, 95 %)",
    "R",
    "Q",
    "robustness",
    "aggregate",
    "order kept",
    "sees hidden",
    "unlearned",
    "reads",
)
FAITHFUL, ROBUST = Style(COLORS[0], "o"), Style(COLORS[1], "D")
CONTROL = "†"
NOTES = """
- **faithfulness**: AUC of the metric on the forget rows between models that know the facts and
  models that never saw them, turned so that more is more knowledge; .5 is chance, below it the
  metric points the wrong way. Models are drawn with replacement for the interval.
- **R**: 1 - |D - D of gold| / (|D| + |D of gold|), D the change by relearning for one epoch on the
  forget rows; **Q**: 1 - |after - before| / (|after| + |before|), the change by rounding the
  weights to 4 bits; both are means over the unlearned models that keep {utility:.0%} of gold's
  probability on what is to be kept and that the metric calls unknowing (below the threshold of the
  pools); **unlearned**: how many those are (of these, *still*: relearning moved the metric on
  neither model, which counts as R = 1; *opposite*: it moved the other way than on gold, which
  counts as R = 0). **robustness**: harmonic mean of R and Q; **aggregate**: of faithfulness and
  robustness.
- **order kept**: Spearman's rank correlation over all unlearned models, before against after
  relearning / rounding.
- **sees hidden**: of the models marked *hides* below, how many the metric puts among those that
  know, before any attack; behind the comma its false alarms, the same of models that never knew. A
  model hides if it keeps enough, gives the forget answers as little probability as models that
  never knew (below the threshold of the pools), and relearns to {back:g} more of it than gold does.
- Controls (†) say nothing of knowledge and stand behind the others. A metric that hardly moves
  whatever happens is robust and not faithful; one that sees what is said and not what is known is
  faithful here and not robust. One small model on made-up facts: the order of metrics, not the
  numbers, is what may carry over.
"""


def short(x: float | None) -> str:
    return NONE if x is None else decimals(x)


def lines_of(found: Mapping[str, Any]) -> list[list[str]]:
    """A row of cells per metric, best aggregate first."""
    rows = []
    sides = []
    for side in (True, False):
        sides.append(sum(m["knows"] is side for m in found["pool"]))
    few = ", too few models" if min(sides) < FEW_GROUPS else ""
    for name, m in found["metrics"].items():
        if m["interval"]:
            low_high = f" [{short(m['interval'][0])} {short(m['interval'][1])}]{few}"
        else:
            low_high = ""
        order_kept = by_attack(m["order_kept"])
        kept = " / ".join(short(order_kept[state]) for state in STATES[1:])
        cells = [short(m[k]) for k in ("relearning", "rounding", "robustness", "aggregate")]
        if m["seen"]:
            seen = "{}/{}, {}/{}".format(*m["seen"])
        else:
            seen = NONE
        flags = ", ".join(f"{m[k]} {k}" for k in ("still", "opposite") if m[k])
        after = str(m["unlearned"]) + (f" ({flags})" if flags else "")
        told = [
            name + CONTROL * m["control"],
            short(m["faithfulness"]) + low_high,
            *cells,
            kept,
            seen,
            after,
            ", ".join(m["needs"]),
        ]
        rows.append(told)
    return rows


def page(found: Mapping[str, Any]) -> str:
    """meta.md"""
    knowing = [m for m in found["pool"] if m["knows"]]
    never = [m for m in found["pool"] if not m["knows"]]
    lines = ["# Which metrics can be believed", "", f"`{found['command']}`", ""]
    lines += [
        f"{len(knowing)} models that know, {len(never)} that never did, {len(found['unlearned'])} "
        f"unlearned (gold among them); "
    ]
    lines[-1] += f"{found['machine']}; {found['measuring_cpu_seconds']} CPU s for measuring."
    lines += [
        "",
        "![faithfulness and robustness](meta.svg)",
        "",
        markdown.table(HEAD, lines_of(found)),
        NOTES.format(utility=UTILITY, back=BACK),
    ]
    lines += [
        "## The models",
        "",
        "Mean probability of the forget answers, and of what is to be kept.",
        "",
    ]
    lines += [markdown.table(("", "n", "forget", "kept"), ways(found["pool"])), ""]
    head = ("", "forget", "relearned", "rounded", "kept", "relearned", "rounded", "")
    lines += [markdown.table(head, unlearned(found["unlearned"])), ""]
    if found["left_out"]:
        lines += [
            "## Left out",
            "",
            *(f"- `{name}`: {why}" for name, why in sorted(found["left_out"].items())),
            "",
        ]
    return "\n".join(lines)


def unlearned(models: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """A row of cells per unlearned model: its probabilities in each state, and how it is marked."""
    several = len({m["seed"] for m in models}) > 1
    rows = []
    for m in models:
        name = m["method"]
        if several:
            name = f"{name}, case {m['seed']}"
        cells = [name]
        probability = by_attack(m["probability"])
        for kind in ("forget", "kept"):
            cells += [short(probability[state][kind]) for state in STATES]
        mark = ""
        if m["hides"]:
            mark = "hides"
        elif not m["useful"]:
            mark = "keeps too little"
        rows.append([*cells, mark])
    return rows


def ways(pool: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Each way of telling: its models, mean probability of forget answers with the range, and of
    what is kept.
    """
    rows = []
    for knows, way in dict.fromkeys((m["knows"], m["way"]) for m in pool):
        some = [m["probability"]["as_is"] for m in pool if (m["knows"], m["way"]) == (knows, way)]
        forget = [m["forget"] for m in some if m["forget"] is not None]
        if forget:
            told = f"{short(fmean(forget))} [{short(min(forget))} {short(max(forget))}]"
        else:
            told = NONE
        rows.append(
            [
                f"{'knows' if knows else 'never'}: {way}",
                str(len(some)),
                told,
                short(fmean(m["kept"] for m in some)),
            ]
        )
    return rows


def drawn(found: Mapping[str, Any]) -> str:
    """meta.svg: faithfulness with its interval and robustness, a row for each metric, best
    aggregate first.
    """
    rows, told = [], []
    controls = False
    for name, m in found["metrics"].items():
        value = m["faithfulness"]
        robustness = m["robustness"]
        low, high = m["interval"] or (value, value)
        marks = [Mark(value, low, high, FAITHFUL)]
        if robustness is not None:
            marks.append(Mark(robustness, robustness, robustness, ROBUST, hollow=True))
        controls = controls or m["control"]
        rows.append(Row(name, [marks], color=MUTED if m["control"] else INK))
        told.append(f"{name}: faithfulness {short(value)}, robustness {short(robustness)}")
    key: dict[str, Style | None] = {"faithfulness, 95 %": FAITHFUL, "robustness": ROBUST}
    if controls:
        key["grey: says nothing of knowledge"] = None
    chart = row_chart(rows, [RowPanel("", (-0.03, 1.03))], "; ".join(told), 780.0, key)
    return to_file(chart)
