"""What was tried and why one was chosen, as a table and as sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from expunge.core.errors import listed
from expunge.core.escape import terminal
from expunge.experiments.tuning.candidates import Candidate, methods_of
from expunge.experiments.tuning.halving import FEWEST, SEARCH, Outcome, Result, ranked


def why(outcome: Outcome, candidates: Sequence[Candidate], left_out: Mapping[str, str]) -> str:
    """The choice in words: how good, against whom, on which side the next one was weaker, and what
    was not tried.
    """
    best = outcome.best
    assert best is not None
    by_key = {c.key: c for c in candidates}
    told = [
        f"{by_key[best.key].words}: after {best.asked} steps forgetting "
        f"{best.parts['forgetting']:.2f}, "
        f"utility {best.parts['utility']:.2f}, score {best.score:.2f}."
    ]
    if (
        len(candidates) > 1
        and all(r.rung < 1 for r in outcome.results)
        and len([r for r in outcome.results if r.rung == 0]) == 1
    ):
        told.append(
            f"Nothing was compared: two runs of {FEWEST} steps in 1/{SEARCH} of the budget take "
            f"{2 * FEWEST * SEARCH} steps in all."
        )
    for rung in sorted({r.rung for r in outcome.results if r.rung >= 0}):
        told += against([r for r in outcome.results if r.rung == rung], best, by_key, rung)
    broken = [r for r in outcome.results if r.score is None]
    if broken:
        told.append(
            f"{len(broken)} runs broke ({listed(methods_of(r.key for r in broken))}); choice.json "
            f"says how."
        )
    reached = methods_of(dict.fromkeys(r.key for r in outcome.results))
    missed = [m for m in methods_of(outcome.unreached) if m not in reached]
    if missed:
        because = (
            "first comes what did more on the built-in case in as many steps, has the "
            "stronger evidence and costs no more than its share"
        )
        told.append(
            f"The budget did not reach {len(missed)} methods ({listed(missed)}): {because}."
        )
    if left_out:
        told.append(
            f"Left out, since rows or tools are missing or they do not fit this model: "
            f"{listed(sorted(left_out))}."
        )
    return " ".join(told)


def against(
    results: Sequence[Result], best: Result, by_key: Mapping[str, Candidate], rung: int
) -> list[str]:
    """A sentence about a rung that held the winner and others."""
    order = ranked(results)
    mine = next((r for r in order if r.key == best.key), None)
    others = [r for r in order if r.key != best.key]
    if mine is None or not others:
        return []
    place = order.index(mine) + 1
    next_ = others[0]
    weaker = min(("forgetting", "utility"), key=lambda part: next_.parts[part] - mine.parts[part])
    compared = f"{next_.parts[weaker]:.2f} against {mine.parts[weaker]:.2f}"
    if next_.parts[weaker] < mine.parts[weaker]:
        side = f", weaker in {weaker} ({compared})"
    else:
        side = ""
    who = "next" if place == 1 else "best"
    return [
        f"Rung {rung + 1}: place {place} of {len(order)} with {mine.score:.2f}; the {who} other "
        f"was {by_key[next_.key].words} "
        f"with {next_.score:.2f}{side}."
    ]


def as_json(outcome: Outcome, candidates: Sequence[Candidate]) -> list[dict[str, Any]]:
    """Every result with the candidate that it is of, in the order of the runs."""
    by_key = {c.key: c for c in candidates}
    return [
        {
            **by_key[r.key].as_json(),
            "rung": r.rung + 1,  # 0 is the run that measures the speed
            "steps_asked": r.asked,
            "steps": r.steps,
            "score": r.score,
            **r.parts,
            "seconds": r.seconds,
            "reason": r.reason or None,
        }
        for r in outcome.results
    ]


def _decimals(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def print_table(choice: Mapping[str, Any]) -> None:
    """The runs as a table, the chosen one marked, and why."""
    from rich.table import Table

    console = terminal()
    table = Table(title="What was tried", box=None, pad_edge=False)
    for name in ("rung", "steps", "score", "forgetting", "utility"):
        table.add_column(name, justify="right")
    table.add_column("candidate", overflow="fold")
    for r in choice["results"]:
        c = Candidate(r["method"], r["arguments"], r["training"], r["source"])
        chosen = all(
            r[k] == choice["chosen"][k]
            for k in ("method", "arguments", "training", "rung", "steps")
        )
        cells = [
            str(r["rung"]),
            str(r["steps"]),
            _decimals(r["score"]),
            _decimals(r.get("forgetting")),
            _decimals(r.get("utility")),
        ]
        table.add_row(*cells, c.words, style="bold" if chosen else None)
    console.print(table)
    console.print(choice["why"], highlight=False, markup=False)
    floor = choice["floor"]["words"]
    console.print(floor[:1].upper() + floor[1:] + ".", style="dim", highlight=False, markup=False)
