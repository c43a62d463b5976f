"""One self-contained HTML file made of finished runs: no network, no script, no text of the data
unless asked for.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expunge.core.errors import Refused
from expunge.core.files import write_text
from expunge.core.notes import note
from expunge.core.results import EMPTY
from expunge.report.compare import KINDS, Curve, ordered
from expunge.report.figures import attack_rows, losses, recovery, tradeoff
from expunge.report.findings import LEADING, findings, leading, summary
from expunge.report.format import split_key, spoken
from expunge.report.gold import section
from expunge.report.load import Found, find
from expunge.report.notices import edits, notices
from expunge.report.plots.marks import Style, styles, swatch
from expunge.report.sections import examples, explained, facts, rows_of
from expunge.report.tables import curve_sheet, sheets
from expunge.report.words import words_of

if TYPE_CHECKING:
    from jinja2 import Environment

MADE_BY = b'<meta name="generator" content="expunge report">'  # stands in every report
TEMPLATES = Path(__file__).with_name("templates")


def write_report(
    run_dirs: Sequence[Path],
    out: Path,
    *,
    show_texts: bool = False,
    title: str = "Expunge report",
    meanings: Mapping[str, str] = EMPTY,
) -> Path:
    """One HTML file about every finished run below ``run_dirs``; returns ``out``.

    ``show_texts`` adds questions, answers and generated texts from private/texts.json; the file is
    then readable by its owner only. ``meanings``: metric name -> one line on what it measures.
    Refused if there is nothing to report, or if something stands at ``out`` that is no report of
    ours; Failed if ``out`` cannot be written; an older report there is replaced whole or not at
    all. Same runs, same bytes.
    """
    out = Path(out)
    if out.is_dir():
        raise Refused(f"{out} is a folder; name a file, such as {out / 'report.html'}")
    if any(p.exists() and not p.is_dir() for p in out.parents):
        raise Refused(f"{out.parent} is not a folder; name a file in a folder")
    if (out.exists() or out.is_symlink()) and not _ours(out):
        raise Refused(
            f"{out} is there and no report made by expunge; it is not replaced, give --out another "
            f"name or remove it"
        )
    found = find(run_dirs, texts=show_texts)
    write_text(
        out,
        render(found, title=title, show_texts=show_texts, meanings=meanings),
        0o600 if show_texts else 0o644,
    )
    for line in edits(found):
        note(f"{out}: {line}")
    return out


def _ours(file: Path) -> bool:
    """Whether a file is a report (or empty), which may be replaced; nothing else may."""
    if not file.is_file():
        return False
    try:
        with file.open("rb") as f:
            head = f.read(4096)
    except OSError:
        return False
    return not head or MADE_BY in head


def style_sheet() -> str:
    """The style of every page."""
    return (TEMPLATES / "style.css").read_text(encoding="utf-8")


def templates() -> Environment:
    """The templates of pages, which escape whatever they are given; ``css`` is the style of every
    page.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["css"] = style_sheet()
    return environment


def render(
    found: Found, *, title: str, show_texts: bool = False, meanings: Mapping[str, str] = EMPTY
) -> str:
    """The page as a string; see ``write_report``."""
    css = style_sheet()
    told = findings(found.subjects, found.curves)
    words = words_of(f.run for f in found.folders)
    looks = _looks(found)
    folders = sorted(
        found.folders, key=lambda f: KINDS.index(f.kind) if f.kind in KINDS else len(KINDS)
    )
    return (
        templates()
        .get_template("report.html.j2")
        .render(
            title=title,
            css_hash=base64.b64encode(hashlib.sha256(css.encode()).digest()).decode(),
            summary=summary(told),
            findings=[(f, swatch(looks[f.label])) for f in told],
            notices=notices(found),
            tradeoffs=_tradeoffs(found, looks),
            beside=section(found.subjects, looks),
            sheets=sheets(found.subjects),
            attacks=_attacks(found, looks),
            losses=[
                (f, fig)
                for f in folders
                if f.log and (fig := losses(f.log, looks[f.label])) is not None
            ],
            key=[(s, swatch(looks[s.label])) for s in ordered(found.subjects)],
            show_texts=show_texts,
            examples=examples(found) if show_texts else [],
            n_examples=len(
                {row for f in found.folders if f.kind != "attacked" for row, _ in rows_of(f.texts)}
            ),
            runs=[(f, facts(f)) for f in folders if f.run and f.kind != "attacked"],
            attacked=[(f, facts(f)) for f in folders if f.run and f.kind == "attacked"],
            meanings=explained(found, {**meanings, **words.meanings}),
            words=words,
        )
    )


def _looks(found: Found) -> dict[str, Style]:
    """A style for every label that any figure draws; kinds decide, and training runs of the same
    name follow.
    """
    kinds = [(f.label, f.kind) for f in found.folders if f.kind != "attacked"]
    kinds += [(s.label, s.kind) for s in found.subjects if s.kind != "attacked"]
    kind_of: dict[str, list[str]] = {}
    for label, kind in kinds:
        kind_of.setdefault(label, []).append(kind)
    labels = (
        [s.label for s in ordered(found.subjects)]
        + [c.of for c in found.curves]
        + [f.label for f in found.folders]
    )
    of = {}
    for kind in ("original", "gold"):
        of[kind] = [label for label, met in kind_of.items() if kind in met]
    return styles(labels, of["original"], of["gold"])


def _tradeoffs(found: Found, looks: Mapping[str, Style]) -> list[Any]:
    """At most two plots: of the leading metrics, those that original or unlearned models have on
    both sides.
    """
    pairs = [(f"forget/{name}", f"retain/{name}") for name in LEADING]
    keys = {k for s in found.subjects for k in s.measurements}
    first = leading(found.subjects, "forget")
    if first and not any(f in keys and r in keys for f, r in pairs):
        pairs = [(first, "model_utility")]
    figures = [tradeoff(found.subjects, f, r, looks) for f, r in pairs if f in keys and r in keys]
    return [fig for fig in figures if fig is not None][:2]


def _attacks(found: Found, looks: Mapping[str, Style]) -> list[dict[str, Any]]:
    """For each attack: its figures (forget, then retain) and its table."""
    golds = [s.label for s in found.subjects if s.kind == "gold"]
    sections = []
    for name in dict.fromkeys(c.attack for c in found.curves):
        for numeric in (True, False):
            curves = [c for c in found.curves if c.attack == name and c.numeric is numeric]
            keys = [k for role in ("forget", "retain") if (k := _curve_key(curves, role))]
            draw = recovery if numeric else attack_rows
            figures = [fig for k in keys if (fig := draw(curves, k, looks, golds)) is not None]
            if figures:
                tables = [curve_sheet(curves, k, found.subjects, found.curves) for k in keys]
                tried = any(c.of in golds for c in curves)
                sections.append(
                    {
                        "name": spoken(name),
                        "numeric": numeric,
                        "figures": figures,
                        "sheets": tables,
                        "gold": tried,
                    }
                )
    return sections


def _curve_key(curves: Sequence[Curve], role: str) -> str | None:
    """The series of ``role`` to draw: the first leading metric, else whatever there is."""
    keys = dict.fromkeys(k for c in curves for k in c.series)
    leading = [f"{role}/{name}" for name in LEADING]
    for key in (*leading, *keys):
        if key in keys and split_key(key)[0] == role:
            return key
    return None
