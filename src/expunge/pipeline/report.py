"""One HTML file made of finished runs."""

from __future__ import annotations

from pathlib import Path

from expunge import registry
from expunge.core.requests import ReportRequest
from expunge.report.html import write_report


def run_report(request: ReportRequest) -> Path:
    """Write the report of the runs below the request's folders; returns the file."""
    meanings = {
        name: registry.member("metrics", name).summary for name in registry.sound("metrics")
    }
    runs = [Path(run) for run in request.runs]
    return write_report(runs, Path(request.out), show_texts=request.show_texts, meanings=meanings)
