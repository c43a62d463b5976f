# ruff: noqa: F401, F811 (fixtures are imported by name)
"""Tables in the terminal, as wide as it is."""

import io
import math
import re
from pathlib import Path

from report_runs import STORY, runs

from expunge.report.figures import thin
from expunge.report.findings import findings
from expunge.report.format import number
from expunge.report.load import find
from expunge.report.terminal import curve_table, listing, table, told


def printed(renderable: object, width: int = 80) -> str:
    from rich.console import Console

    out = io.StringIO()
    Console(file=out, width=width).print(renderable)
    return out.getvalue()


def test_terminal_table_fits_and_marks(runs: Path) -> None:
    found = find([runs])
    keys = [
        "forget/probability",
        "retain/probability",
        "forget/rouge_l_recall",
        "retain/rouge_l_recall",
        "model_utility",
        "privleak",
    ]
    text = printed(table(found.subjects, keys, title="Demo"))
    assert max(map(len, text.splitlines())) <= 80 and "…" not in text
    order = [
        line.split()[0] for line in text.splitlines() if line.split() and line.split()[0] in STORY
    ]
    assert order[:3] == ["original", "gold", "grad_diff"]
    # forget: |.095 - .104| is the least; retain: .951 the highest
    assert re.search(r"rmu +0\.10\* +0\.95\* ", text)
    assert "(1) privleak: needs rows that no model saw; give --holdout" in text


def test_terminal_curve_table_marks_what_came_back(runs: Path) -> None:
    found = find([runs])
    text = printed(
        curve_table(
            [c for c in found.curves if c.attack == "relearn"], "forget/probability", found.subjects
        )
    )
    rows = {
        line.split()[0]: line.split()[1:]
        for line in text.splitlines()
        if line.split() and line.split()[0] in STORY
    }
    assert rows["npo"] == ["0.12", "0.44!", "0.62!", "0.71!"] and rows["gold"] == [
        "0.10",
        "0.19",
        "0.28",
        "0.36",
    ]
    assert rows["rmu"] == ["0.10", "0.17", "0.26", "0.33"] and next(iter(rows)) == "gold"
    assert "hidden, not gone" in printed(told(findings(found.subjects, found.curves)))


def test_terminal_listing_of_one_model(runs: Path) -> None:
    npo = next(s for s in find([runs]).subjects if s.label == "npo")
    text = printed(listing(npo.measurements, title="npo"))
    assert (
        "forget probability" in text
        and "0.118" in text
        and "0.088–0.145" in text
        and "– (1)" in text
        and "120" in text
    )


def test_small_parts() -> None:
    assert [number(v) for v in (0.1249, 0, 3.2e-9, -98.31, 1234.5)] == [
        "0.12",
        "0.00",
        "3.2e-09",
        "-98.3",
        "1234",
    ]
    assert (
        thin([(float(i), 1.0) for i in range(1000)], 100)[0] == (4.5, 1.0)
        and len(thin([(0.0, math.inf)])) == 0
    )
