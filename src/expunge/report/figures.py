"""The report's figures: what forgetting cost, what an attack brought back, how the losses went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from expunge.core.results import Measurement
from expunge.report.compare import Curve, Judged, bounds, gold_of, has_gold, ordered, scored
from expunge.report.format import NO_GOLD, number, phrase, tick
from expunge.report.svg import CHAR, GOLD, MUTED, Scale, Style, drawing, fitted, grid, label, line, marker, path, spread

WIDTH = 390.0
Styles = Mapping[str, Style]


def shown(name: str, most: int = 17) -> str:
    """A name that leaves room for the drawing."""
    return name if len(name) <= most else name[: most - 1] + "…"


def tradeoff(subjects: Sequence[Judged], forget: str, retain: str, styles: Styles) -> Markup | None:
    """Forget against retain: one marker per model with its intervals, named where there is room. None without a point.

    Dashed lines stand at gold's values.
    """
    points = [
        (s, s.measurements[forget], s.measurements[retain])
        for s in ordered(subjects)
        if all(scored(s.measurements.get(k)) for k in (forget, retain))
    ]
    if not points:
        return None
    x = fitted([b for _, f, _ in points for b in (f.value or 0.0, *bounds(f))], 46.0, WIDTH - 12)
    y = fitted([b for _, _, r in points for b in (r.value or 0.0, *bounds(r))], 340.0, 34.0)
    parts = grid(x, y, f"{phrase(forget)}  ({'want: like gold' if has_gold(subjects) else NO_GOLD})", f"{phrase(retain)}  (want: high)")
    gx, gy = gold_of(subjects, forget), gold_of(subjects, retain)
    if gx is not None:
        parts.append(line(x(gx), y.a, x(gx), y.b, GOLD.colour, 1.2, "5 4"))
    if gy is not None:
        parts.append(line(x.a, y(gy), x.b, y(gy), GOLD.colour, 1.2, "5 4"))
    marks: list[Markup | str] = []
    boxes: list[tuple[float, float, float, float]] = []
    for s, f, r in points:
        cx, cy, colour = x(f.value or 0.0), y(r.value or 0.0), styles[s.label].colour
        (fl, fh), (rl, rh) = bounds(f), bounds(r)
        parts += [line(x(fl), cy, x(fh), cy, colour, 1.6), line(cx, y(rl), cx, y(rh), colour, 1.6)]
        marks.append(marker(cx, cy, styles[s.label], 7.0))
        boxes.append((cx - 9, cy - 9, cx + 9, cy + 9))
    for s, f, r in points:
        marks.append(_placed(shown(s.label), x(f.value or 0.0), y(r.value or 0.0), boxes, x, y))
    told = "; ".join(f"{s.label}: {number(f.value or 0.0)} forget, {number(r.value or 0.0)} retain" for s, f, r in points)
    return drawing(WIDTH, 384.0, f"{phrase(forget)} against {phrase(retain)}. {told}.", [*parts, *marks])


def _placed(words: str, cx: float, cy: float, boxes: list[tuple[float, float, float, float]], x: Scale, y: Scale) -> Markup | str:
    """A label close to its marker that covers no marker and no other label (its box is added to ``boxes``); '' in a crowd."""
    w, tries = len(words) * 13 * CHAR + 4, []
    for dy in (4.5, -6.0, 15.0):
        tries += [(cx + 13, cy + dy, "start", cx + 13), (cx - 13, cy + dy, "end", cx - 13 - w)]
    tries += [(cx, cy - 13, "middle", cx - w / 2), (cx, cy + 22, "middle", cx - w / 2)]
    for at, base, anchor, left in tries:
        box = (left, base - 11, left + w, base + 3)
        inside = x.a <= box[0] and box[2] <= x.b + 10 and y.b - 6 <= box[1] and box[3] <= y.a - 1
        if inside and all(box[2] < b[0] or b[2] < box[0] or box[3] < b[1] or b[3] < box[1] for b in boxes):
            boxes.append(box)
            return label(at, base, words, anchor, paint_order="stroke", stroke="#ffffff", stroke_width=3.0)
    return ""


def recovery(curves: Sequence[Curve], key: str, styles: Styles, golds: Sequence[str]) -> Markup | None:
    """One line per attacked model over a numeric x, gold dashed and thick; names stand at the ends of the lines."""
    drawn = [
        (c, [(float(at), m) for at, m in zip(c.x, c.series[key], strict=True) if scored(m)])
        for c in curves
        if c.numeric and key in c.series
    ]
    drawn = [(c, p) for c, p in drawn if p]
    if not drawn:
        return None
    xs = sorted({at for _, p in drawn for at, _ in p})
    room = max(len(shown(c.of)) for c, _ in drawn) * 13 * CHAR + 24
    x = Scale(xs[0], xs[-1] if xs[-1] > xs[0] else xs[0] + 1, 46.0, WIDTH - room)
    y = fitted([b for _, p in drawn for _, m in p for b in bounds(m)], 270.0, 34.0)
    parts = grid(x, y, drawn[0][0].xlabel, phrase(key), _apart([(x(v), tick(v)) for v in xs]))
    names, wanted = [], []
    for c, p in sorted(drawn, key=lambda d: d[0].of in golds):
        style = styles[c.of]
        parts.append(path([(x(at), y(m.value or 0.0)) for at, m in p], style, 3.2 if c.of in golds else 2.0))
        for at, m in p:
            lo, hi = bounds(m)
            parts += [line(x(at), y(lo), x(at), y(hi), style.colour, 1.2, opacity=0.55), marker(x(at), y(m.value or 0.0), style, 5.0)]
        names.append((c.of, x(p[-1][0]), y(p[-1][1].value or 0.0)))
        wanted.append(names[-1][2])
    for (name, at, end), place in zip(names, spread(wanted, 15.0, y.b, y.a), strict=True):
        parts += [line(at + 7, end, at + 15, place, MUTED, 0.8), label(at + 18, place + 4.5, shown(name))]
    told = "; ".join(f"{c.of}: " + ", ".join(f"{number(m.value or 0.0)} at {tick(at)}" for at, m in p) for c, p in drawn)
    return drawing(WIDTH, 314.0, f"{phrase(key)} over {drawn[0][0].xlabel}. {told}.", parts)


def _apart(ticks: Sequence[tuple[float, str]]) -> list[tuple[float, str]]:
    """Tick labels that do not run into each other: those too near to the one before are left out."""
    kept: list[tuple[float, str]] = []
    for at, words in ticks:
        if not kept or at - kept[-1][0] > 8 * len(words) + 8:
            kept.append((at, words))
    return kept


def forest(curves: Sequence[Curve], key: str, styles: Styles, golds: Sequence[str]) -> Markup | None:
    """For an x axis of words: under each model one line per point with its interval and value; dashed where gold is as it is."""
    drawn = [c for c in curves if not c.numeric and key in c.series and any(map(scored, c.series[key]))]
    if not drawn:
        return None
    drawn.sort(key=lambda c: c.of not in golds)
    told = [(c, str(at), m) for c in drawn for at, m in zip(c.x, c.series[key], strict=True) if scored(m)]
    left = max(max(len(shown(c.of)), len(at)) for c, at, _ in told) * 13 * CHAR + 16
    bottom = 36.0 + 27 * len(drawn) + 18 * len(told)
    x = fitted([b for _, _, m in told for b in bounds(m)], left, WIDTH - 44)
    parts = [line(x(v), 26.0, x(v), bottom) for v in x.ticks(4)]
    parts += [label(x(v), bottom + 18, f"{v:g}", "middle", fill=MUTED) for v in x.ticks(4)]
    gold = next((m.value for c, at, m in told if c.of in golds), None)
    parts += [line(x(gold), 26.0, x(gold), bottom, GOLD.colour, 1.2, "5 4")] if gold is not None else []
    parts.append(label(0.0, 14.0, phrase(key)))
    top = 30.0
    for c in drawn:
        parts.append(label(0.0, top + 21, shown(c.of), font_weight="600"))
        top += 27
        for i, (_, at, m) in enumerate(t for t in told if t[0] is c):
            parts += _point(at, m, top + 9, x, styles[c.of], hollow=i == 0)
            top += 18
    spoken = "; ".join(f"{c.of} {at} {number(m.value or 0.0)}" for c, at, m in told)
    return drawing(WIDTH, bottom + 26, f"{phrase(key)} under {drawn[0].attack}. {spoken}.", parts)


def _point(name: str, m: Measurement, cy: float, x: Scale, style: Style, hollow: bool) -> list[Markup]:
    """A line of ``forest``: the name of the point, its interval, its marker, its value at the right."""
    (lo, hi), at = bounds(m), m.value or 0.0
    parts = [label(14.0, cy + 4.5, name, fill=MUTED), line(x(lo), cy, x(hi), cy, style.colour, 1.8), marker(x(at), cy, style, 5.0, hollow)]
    return [*parts, label(WIDTH - 2, cy + 4.5, number(at), "end")]
