"""The meta-evaluation as Markdown and as a drawing: a line per metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from expunge.core.units import FEW_GROUPS
from expunge.experiments.meta_evaluation.gather import BACK, STATES, UTILITY
from expunge.report.format import NONE
from expunge.report.format import short as decimals
from expunge.report.svg import COLOURS, FAINT, INK, MUTED, Style, drawing, fitted, label, line, marker

HEAD = ("metric", "faithfulness (AUC, 95 %)", "R", "Q", "robustness", "aggregate", "order kept", "sees hidden", "unlearned", "reads")
FAITHFUL, ROBUST = Style(COLOURS[0], "circle"), Style(COLOURS[1], "diamond")
CONTROL = "†"
NOTES = """
- **faithfulness**: AUC of the metric on the forget rows between models that know the facts and models that never saw them, turned so that
  more is more knowledge; .5 is chance, below it the metric points the wrong way. Models are drawn with replacement for the interval.
- **R**: 1 - |D - D of gold| / (|D| + |D of gold|), D the change by relearning for one epoch on the forget rows; **Q**:
  1 - |after - before| / (|after| + |before|), the change by rounding the weights to 4 bits; both are means over the unlearned models that
  keep {utility:.0%} of gold's probability on what is to be kept and that the metric calls unknowing (below the threshold of the pools);
  **unlearned**: how many those are (of these, *still*: relearning moved the metric on neither model, which counts as R = 1; *opposite*: it
  moved the other way than on gold, which counts as R = 0). **robustness**: harmonic mean of R and Q; **aggregate**: of faithfulness and
  robustness.
- **order kept**: Spearman's rank correlation over all unlearned models, before against after relearning / rounding.
- **sees hidden**: of the models marked *hides* below, how many the metric puts among those that know, before any attack; behind the
  comma its false alarms, the same of models that never knew. A model hides if it keeps enough, gives the forget answers as little
  probability as models that never knew (below the threshold of the pools), and relearns to {back:g} more of it than gold does.
- Controls (†) say nothing of knowledge and stand behind the others. A metric that hardly moves whatever happens is robust and not
  faithful; one that sees what is said and not what is known is faithful here and not robust. One small model on made-up facts: the order
  of metrics, not the numbers, is what may carry over.
"""


def short(x: float | None) -> str:
    return NONE if x is None else decimals(x)


def lines_of(found: Mapping[str, Any]) -> list[list[str]]:
    """A row of cells per metric, best aggregate first."""
    rows = []
    sides = [sum(m["knows"] is side for m in found["pool"]) for side in (True, False)]
    few = ", too few models" if min(sides) < FEW_GROUPS else ""
    for name, m in found["metrics"].items():
        low_high = f" [{short(m['interval'][0])} {short(m['interval'][1])}]{few}" if m["interval"] else ""
        kept = " / ".join(short(m["order_kept"][a]) for a in ("relearned", "rounded"))
        cells = [short(m[k]) for k in ("relearning", "rounding", "robustness", "aggregate")]
        seen = "{}/{}, {}/{}".format(*m["seen"]) if m["seen"] else NONE
        flags = ", ".join(f"{m[k]} {k}" for k in ("still", "opposite") if m[k])
        after = str(m["unlearned"]) + (f" ({flags})" if flags else "")
        told = [name + CONTROL * m["control"], short(m["faithfulness"]) + low_high, *cells, kept, seen, after, ", ".join(m["needs"])]
        rows.append(told)
    return rows


def sheet(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    wide = [max(len(r[i]) for r in (head, *rows)) for i in range(len(head))]
    cells = lambda r: "| " + " | ".join(c.ljust(w) for c, w in zip(r, wide, strict=True)) + " |"
    return [cells(head), "| " + " | ".join("-" * w for w in wide) + " |", *map(cells, rows)]


def page(found: Mapping[str, Any]) -> str:
    """meta.md"""
    knowing, never = ([m for m in found["pool"] if m["knows"] is side] for side in (True, False))
    lines = ["# Which metrics can be believed", "", f"`{found['command']}`", ""]
    lines += [f"{len(knowing)} models that know, {len(never)} that never did, {len(found['unlearned'])} unlearned (gold among them); "]
    lines[-1] += f"{found['machine']}; {found['measuring_cpu_seconds']} CPU s for measuring."
    lines += ["", "![faithfulness and robustness](meta.svg)", "", *sheet(HEAD, lines_of(found)), NOTES.format(utility=UTILITY, back=BACK)]
    lines += ["## The models", "", "Mean probability of the forget answers, and of what is to be kept.", ""]
    lines += [*sheet(("", "n", "forget", "kept"), list(ways(found["pool"]))), ""]
    head = ("", "forget", "relearned", "rounded", "kept", "relearned", "rounded", "")
    mark = lambda m: "hides" if m["hides"] else "" if m["useful"] else "keeps too little"
    numbers = lambda m: [short(m["probability"][s][k]) for k in ("forget", "kept") for s in STATES]
    several = len({m["seed"] for m in found["unlearned"]}) > 1
    called = lambda m: f"{m['method']}, case {m['seed']}" if several else m["method"]
    told = [[called(m), *numbers(m), mark(m)] for m in found["unlearned"]]
    lines += [*sheet(head, told), ""]
    if found["left_out"]:
        lines += ["## Left out", "", *(f"- `{name}`: {why}" for name, why in sorted(found["left_out"].items())), ""]
    return "\n".join(lines)


def ways(pool: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Each way of telling: its models, mean probability of forget answers with the range, and of what is kept."""
    rows = []
    for knows, way in dict.fromkeys((m["knows"], m["way"]) for m in pool):
        some = [m["probability"]["as_is"] for m in pool if (m["knows"], m["way"]) == (knows, way)]
        forget = [m["forget"] for m in some if m["forget"] is not None]
        told = f"{short(fmean(forget))} [{short(min(forget))} {short(max(forget))}]" if forget else NONE
        rows.append([f"{'knows' if knows else 'never'}: {way}", str(len(some)), told, short(fmean(m["kept"] for m in some))])
    return rows


def drawn(found: Mapping[str, Any]) -> str:
    """meta.svg: faithfulness with its interval and robustness, a line per metric, best aggregate first."""
    rows = list(found["metrics"].items())
    top, pitch = 52.0, 19.0
    low, x = top + pitch * len(rows), fitted([0.0, 1.0], 230.0, 760.0)
    parts: list[Any] = []
    for v in x.ticks(5):
        parts += [line(x(v), top - 12, x(v), low, MUTED if v == 0.5 else FAINT), label(x(v), low + 16, f"{v:g}", "middle", 12.0, MUTED)]
    for at, style, words in ((230.0, FAITHFUL, "faithfulness, 95 %"), (420.0, ROBUST, "robustness")):
        parts += [marker(at, 18.0, style, 5.0), label(at + 10, 22.0, words, size=12.0)]
    parts += [label(560.0, 22.0, "grey: says nothing of knowledge", size=12.0, fill=MUTED)] * any(m["control"] for _, m in rows)
    for i, (name, m) in enumerate(rows):
        cy = top + pitch * i
        parts += [
            line(10.0, cy + pitch / 2, 770.0, cy + pitch / 2, FAINT, 0.5),
            label(16.0, cy + 4, name, size=12.0, fill=MUTED if m["control"] else INK),
        ]
        if m["interval"]:
            parts.append(line(x(m["interval"][0]), cy, x(m["interval"][1]), cy, FAITHFUL.colour, 2.2, opacity=0.45))
        if m["robustness"] is not None:
            parts.append(marker(x(m["robustness"]), cy, ROBUST, 4.5, hollow=True))
        parts.append(marker(x(m["faithfulness"]), cy, FAITHFUL, 4.5))
    told = "; ".join(f"{n}: faithfulness {short(m['faithfulness'])}, robustness {short(m['robustness'])}" for n, m in rows)
    made = drawing(780.0, low + 26, told, parts)
    return str(made).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" font-family="system-ui, DejaVu Sans, sans-serif" ', 1) + "\n"
