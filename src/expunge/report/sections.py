"""Parts of the report that are words: examples, how a run was made, what each number means."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import yaml

from expunge.report.compare import has_gold, ordered
from expunge.report.format import goal, split_key, spoken
from expunge.report.load import Folder, Found

EXAMPLES = 12


def rows_of(
    texts: Iterable[Mapping[str, Any]],
) -> Iterator[tuple[tuple[str, str, int], Mapping[str, Any]]]:
    """Texts with what joins them across models: role, right answer and how often it was met before;
    ids are salted per run.
    """
    met: Counter[tuple[str, str]] = Counter()
    for t in texts:
        row = (str(t.get("role", "")), str(t.get("answer") or t["id"]))
        yield (*row, met[row]), t
        met[row] += 1


def examples(found: Found) -> list[dict[str, Any]]:
    """Rows with what each model wrote, joined by ``rows_of``; forget rows first, two thirds of the
    places.
    """
    by_row: dict[tuple[str, str, int], dict[str, Any]] = {}
    told = {f.label: f for f in found.folders if f.texts and f.kind != "attacked"}
    for s in (s for s in ordered(found.subjects) if s.label in told):
        for row, t in rows_of(told[s.label].texts):
            entry = by_row.setdefault(
                row,
                {
                    "role": row[0],
                    "question": t.get("question"),
                    "answer": t.get("answer"),
                    "said": [],
                },
            )
            entry["said"].append((s.label, s.kind, t.get("generated")))
    forget = [e for (role, _, _), e in by_row.items() if role == "forget"]
    others = [e for (role, _, _), e in by_row.items() if role != "forget"]
    return (
        forget[: max(EXAMPLES * 2 // 3, EXAMPLES - len(others))]
        + others[: max(EXAMPLES // 3, EXAMPLES - len(forget))]
    )


def facts(f: Folder) -> dict[str, Any]:
    """run.yaml in the order in which a reader asks: what was asked, with which settings, and the
    rest as it stands.
    """
    run = dict(f.run)
    settings = f.run.get("settings")
    method = run.get("method")
    model = run.get("model")
    words = [
        str(run.get("verb", "run")),
        str(method.get("name", "")) if isinstance(method, dict) else "",
    ]
    short = [f"seed {run['seed']}"] if "seed" in run else []
    short += [str(run["device"])] if "device" in run else []
    short += (
        [f"{float(run['seconds']):.0f} s"] if isinstance(run.get("seconds"), (int, float)) else []
    )
    rows = [
        (k, v.get("value"), v.get("source", "")) if isinstance(v, dict) else (k, v, "")
        for k, v in _items(settings)
    ]
    rest = {k: v for k, v in run.items() if k not in ("settings", "schema")}
    return {
        "what": " ".join(filter(None, words)),
        "short": ", ".join(short),
        "model": model.get("source", "") if isinstance(model, dict) else "",
        "settings": [(k, _plain(v), source) for k, v, source in rows],
        "rest": yaml.safe_dump(rest, sort_keys=False, allow_unicode=True, width=100).rstrip(),
    }


def _items(settings: Any) -> Iterable[tuple[str, Any]]:
    return settings.items() if isinstance(settings, dict) else ()


def _plain(v: Any) -> str:
    if v is None:
        return "none"
    if isinstance(v, float):
        return f"{v:g}"
    return str(v)


def explained(found: Found, meanings: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """(metric, which way is better by role, what it measures) for every metric in the tables."""
    met: dict[str, dict[str, list[str]]] = {}
    gold = has_gold(found.subjects)
    for s in found.subjects:
        for key, m in s.measurements.items():
            role, name = split_key(key)
            roles = met.setdefault(name, {}).setdefault(goal(m.better, gold), [])
            if role not in roles:
                roles.append(role)
    told = []
    for name, ways in met.items():
        ways = {way: roles for way, roles in ways.items() if way}
        goals = [
            way if len(ways) == 1 else f"{way} ({', '.join(map(spoken, roles))})"
            for way, roles in ways.items()
        ]
        told.append((spoken(name), "; ".join(goals), meanings.get(name, "")))
    return told
