"""The files of a run folder, read with care: what is malformed is Refused by file and line, a value
that is no number is unscored.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from expunge.core.errors import Refused
from expunge.core.former_names import current_key
from expunge.core.results import Measurement
from expunge.report.beside import Beside
from expunge.report.compare import KINDS, Curve
from expunge.report.format import finite


def _text(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"{file}: cannot be read ({type(error).__name__})") from None


def _json(file: Path, shape: type) -> Any:
    text = _text(file)
    if text is None:
        return None
    try:
        found = json.loads(text)
        # halves of surrogate pairs cannot be written into a report
        json.dumps(found, ensure_ascii=False).encode()
    except RecursionError:
        raise Refused(
            f"{file}: nested too deep; this is no file of ours, make the run again"
        ) from None
    except UnicodeEncodeError:
        raise Refused(
            f"{file}: holds half a character (a lone surrogate); make the run again"
        ) from None
    except ValueError as error:
        raise Refused(
            f"{file}:{getattr(error, 'lineno', 1)}: not JSON; was the run cut off? make it again"
        ) from None
    if not isinstance(found, shape):
        raise Refused(
            f"{file}: not a JSON {'object' if shape is dict else 'list'}; make the run again"
        )
    return found


def read_measurements(file: Path) -> Mapping[str, Measurement] | None:
    """measurements.json by key; None if there is no file."""
    found = _json(file, dict)
    if found is None:
        return None
    if found.get("schema", 1) != 1:
        raise Refused(
            f"{file}: schema {found.get('schema')!r} is not known to this version; it reads "
            f"schema 1"
        )
    return {
        current_key(key): measurement(entry, f"{file}: {key}")
        for key, entry in found.items()
        if key != "schema"
    }


def read_comparison(file: Path) -> Mapping[str, Beside] | None:
    """The rows of comparison.json by key; None if there is no file."""
    found = _json(file, dict)
    if found is None:
        return None
    if found.get("schema") != 1 or not isinstance(found.get("rows"), dict):
        raise Refused(f"{file}: not a comparison of schema 1; make the run again")
    return {current_key(key): _beside(row, f"{file}: {key}") for key, row in found["rows"].items()}


def _beside(row: Any, where: str) -> Beside:
    """One row of comparison.json. The verdict is derived again from what decides it."""
    row = row if isinstance(row, dict) else {}
    golds = row.get("golds")
    known = all(finite(row.get(k)) for k in ("model", "difference", "n", "groups")) and row.get(
        "side"
    ) in ("unlearned", "kept", "control")
    if not known or not isinstance(golds, list) or not golds or not all(map(finite, golds)):
        raise Refused(f"{where}: not a comparison with gold; make the run again")
    optional: dict[str, Any] = {
        k: float(row[k])
        for k in ("p", "p_holm", "margin", "bound", "detectable")
        if finite(row.get(k))
    }
    return Beside(
        float(row["model"]),
        tuple(map(float, golds)),
        row["side"],
        float(row["difference"]),
        _ends(row.get("interval")),
        int(row["n"]),
        int(row["groups"]),
        int(row["unmatched"]) if finite(row.get("unmatched")) else 0,
        **optional
        | {
            k: row[k]
            for k in ("not_worse", "equal", "widened", "constant")
            if isinstance(row.get(k), bool)
        },
        fewest=_count(row.get("fewest")),
    )


def _ends(x: Any) -> tuple[float, float] | None:
    """The two ends of an interval; None for anything else."""
    if isinstance(x, list) and len(x) == 2 and all(map(finite, x)):
        return (float(x[0]), float(x[1]))
    return None


def measurement(entry: Any, where: str) -> Measurement:
    """One entry of measurements.json.

    A value that is no finite number is unscored, so that it is never drawn.
    """
    if not isinstance(entry, dict) or "value" not in entry:
        raise Refused(f"{where}: not a measurement with a value; make the run again")
    value = entry["value"]
    ends = entry.get("interval")
    better = entry.get("better")
    if not (better in ("higher", "lower", "gold") or finite(better)):
        better = None
    n, groups = (int(entry[k]) if finite(entry.get(k)) else 0 for k in ("n", "groups"))
    if not finite(value):
        reason = entry.get("reason") or (
            "no reason given"
            if value is None
            else "the value is not a finite number, or far too large"
        )
        return Measurement(None, n, groups, None, better, str(reason))
    if isinstance(entry.get("parts"), dict):
        parts = {str(k): float(v) for k, v in (entry.get("parts") or {}).items() if finite(v)}
    else:
        parts = {}
    if finite(entry.get("margin")):
        margin = float(entry["margin"])
    else:
        margin = None
    note = str(entry.get("note") or "")
    fewest = _count(entry.get("fewest"))
    reason = entry.get("reason")
    return Measurement(
        float(value),
        n,
        groups,
        _ends(ends),
        better,
        reason,
        parts,
        margin=margin,
        note=note,
        fewest=fewest,
    )


def _count(x: Any) -> int:
    """A whole number of things; 0 for anything else."""
    return int(x) if finite(x) and x > 0 else 0


def read_curves(file: Path) -> tuple[Curve, ...]:
    """The curves of curves.json; of an older version that is one curve.

    Empty if there is no file.
    """
    found = _json(file, dict)
    if found is None:
        return ()
    several = found.get("curves", [found])
    if not isinstance(several, list) or not all(isinstance(one, dict) for one in several):
        raise Refused(f"{file}: curves is not a list of curves; make the run again")
    return tuple(curve_of(one, str(file)) for one in several)


def curve_of(found: Mapping[str, Any], where: str) -> Curve:
    """One attack on one model, from plain data.

    Args:
        found: As curves.json holds it.
        where: Named in an error.

    Returns:
        The curve.

    Raises:
        Refused: It is not a curve.
    """
    x = found.get("x")
    series = {k: v for k, v in found.items() if isinstance(v, list) and k not in ("x", "said")}
    if (
        not isinstance(x, list)
        or "of" not in found
        or any(len(v) != len(x) for v in series.values())
    ):
        raise Refused(
            f"{where}: not a curve (needs of, x, and series as long as x); make the run again"
        )
    attack = str(found.get("attack", "attack"))
    points = {}
    for key, entries in series.items():
        points[key] = tuple(measurement(entry, f"{where}: {key}") for entry in entries)
    xs = tuple(float(i) if finite(i) else str(i) for i in x)
    said = found.get("said")
    arguments = found.get("arguments")
    kind = found.get("kind")
    return Curve(
        attack,
        str(found["of"]),
        xs,
        str(found.get("xlabel", attack)),
        points,
        kind=kind if kind in KINDS else "",
        arguments=arguments if isinstance(arguments, dict) else {},
        said=tuple(map(str, said)) if isinstance(said, list) and len(said) == len(xs) else (),
    )


def read_log(file: Path) -> tuple[Mapping[str, Any], ...]:
    """log.jsonl, one mapping per logged step; empty if there is no file."""
    return tuple(_lines(file))


def _lines(file: Path) -> list[dict[str, Any]]:
    """JSON Lines; a broken line is named by its number and never quoted."""
    lines = []
    for i, line in enumerate((_text(file) or "").splitlines(), 1):
        if line.strip():
            try:
                lines.append(json.loads(line))
                json.dumps(lines[-1], ensure_ascii=False).encode()
            except (ValueError, RecursionError):
                raise Refused(
                    f"{file}:{i}: not JSON; was the run cut off? resume it or make it again"
                ) from None
            if not isinstance(lines[-1], dict):
                raise Refused(f"{file}:{i}: not a JSON object; make the run again")
    return lines


def read_texts(private: Path) -> tuple[Mapping[str, Any], ...]:
    """texts.json, or texts.jsonl, of a private folder: what a model was asked, should say and said.

    Sensitive; empty without.
    """
    found = _json(private / "texts.json", list)
    if found is None:
        found = [
            row
            for row in _lines(private / "texts.jsonl")
            if row.get("variant", "answer") == "answer"
        ]
    if not all(isinstance(row, dict) and "id" in row for row in found):
        raise Refused(f"{private / 'texts.json'}: every entry needs an id; make the run again")
    return tuple(found)
