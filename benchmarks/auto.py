"""Is auto dominated by a single method?

Held-out built-in cases, the same number of optimizer steps for all, the search included.

    python benchmarks/auto.py --work DIR
    python benchmarks/auto.py --work DIR --cases 11 --methods npo,simnpo
    python benchmarks/auto.py --work DIR --prior

The first takes ten cases that no choice was made on, and goes on when it is run again; the last
the single methods on three other cases, and orders the candidates by them.

A single method gets all steps at the settings of its card for the built-in case, and all retain
rows. Judged beside gold on wordings that no model and no search has seen; beside that stands the
score that auto goes by, which knows no gold. Writes results/auto.json and results/auto.md, with
--prior results/prior.json, results/prior.md and src/expunge/experiments/tuning/prior.py.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import as_completed
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from _common import ROOT, machine  # one thread, before torch is imported
from _common import asked as words_of
from scipy.stats import spearmanr

from expunge import api, registry
from expunge.core.data import Examples
from expunge.core.errors import Failed, Refused
from expunge.evaluation.observations.base import Want
from expunge.evaluation.observations.teacher_forced import TeacherForced
from expunge.evaluation.observe import measure
from expunge.experiments.demo import WORKERS, train
from expunge.experiments.sweep.pool import pool
from expunge.experiments.tuning.candidates import Candidate, drawn, tunable
from expunge.experiments.tuning.halving import fitting
from expunge.experiments.tuning.prior import STEPS
from expunge.experiments.tuning.rows import ASIDE
from expunge.experiments.tuning.scoring import score
from expunge.experiments.tuning.search import Budget, Search
from expunge.models.causal_lm.load import load
from expunge.models.causal_lm.model import Subject
from expunge.pipeline.training_inputs import Supplied
from expunge.report.markdown import table
from expunge.scoring.quality import closeness, kept, quality
from expunge.synthesis.tools import Tools

CASES = tuple(range(11, 21))
PRIOR_CASES = (3, 4, 5)  # those on which auto's own constants were chosen too
BUDGET = 180
TIE = 0.02  # of quality: less says nothing
GOOD = 0.95  # of quality
PARTS = ("closeness", "retain", "neighbour")
ROLES = ("forget", "retain", "neighbour")
UNSEEN = "question/0"  # a wording of the question that is in no training row
AUTO = "auto"


def bench(seed: int) -> Any:
    return registry.resolve("benchmarks", "builtin", {"split": str(seed)})


def asked_of(seed: int) -> dict[str, Examples]:
    """The evaluation rows in a wording that nobody was trained on."""
    roles = bench(seed).case.evaluate
    return {
        role: tuple(replace(e, prompt=e.variants[UNSEEN], variants={}) for e in roles[role])
        for role in ROLES
    }


def probabilities(subject: Subject, seed: int) -> dict[str, float]:
    """Mean answer probability by role."""
    rows = asked_of(seed)
    records = measure(subject, rows, dict.fromkeys(rows, Want((TeacherForced(),)))).records
    return {role: fmean(math.exp(-r.loss) for r in records if r.role == role) for role in rows}


def rated(
    p: Mapping[str, float], original: Mapping[str, float], gold: Mapping[str, float]
) -> dict[str, float | None]:
    """Closeness to gold on forget, what is kept of retain and neighbor, and quality: a bench's
    ranking without its attack.
    """
    parts = {"closeness": closeness(p["forget"], original["forget"], gold["forget"])}
    parts |= {role: kept(p[role], original[role]) for role in ("retain", "neighbour")}
    return {**parts, "quality": quality(parts)}


def search_of(subject: Subject, seed: int, place: Path, steps: int) -> Search:
    supplied = Supplied(tools=Tools(seed=seed, subject=lambda: subject))
    return Search(subject, bench(seed).case, supplied, place, Budget(steps), seed=seed)


def single(
    subject: Subject, seed: int, name: str, budget: int, place: Path
) -> tuple[Subject, dict[str, Any]]:
    """A method at its card's settings with all the steps and all retain rows."""
    search, c = search_of(subject, seed, place, budget), preset(name)
    steps = fitting(lambda n: search.cost(c, n), budget)
    after = search.apply(c, True, steps, place / "work")
    found = score(search.before, search.seen(after, True), search.floor.value)
    return after, {
        "settings": c.words,
        "steps": search.cost(c, steps),
        "score": found.value,
        "floor": search.floor.value,
    }


def preset(name: str) -> Candidate:
    """The card's own settings for the built-in case."""
    return drawn(name, registry.member("methods", name).card, 0)[0]


def chosen(
    subject: Subject, seed: int, name: str, budget: int, place: Path
) -> tuple[Subject, dict[str, Any]]:
    """What auto makes of the budget, with every method to choose from."""
    after, choice = api.auto(subject, case=bench(seed), steps=budget, out=place, seed=seed)
    best = choice["chosen"]
    told = Candidate(best["method"], best["arguments"], best["training"]).words
    score_ = {"score": best["score"], "floor": choice["floor"]["value"]}
    runs = [
        {k: r.get(k) for k in ("method", "rung", "steps", "score", "forgetting", "utility")}
        for r in choice["results"]
    ]
    return after, {
        "settings": told,
        "steps": choice["budget"]["spent"],
        "method": best["method"],
        "runs": runs,
    } | score_


def cell(work: Path, seed: int, name: str, budget: int) -> None:
    """One method (or auto) on one case; kept in a file, so that a killed benchmark goes on."""
    file = place_of(work, seed, name, budget)
    if file.exists():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    original = load(work / str(seed) / "original")
    cpu, wall = time.process_time(), time.monotonic()
    found: dict[str, Any] = {"seed": seed, "name": name}
    with tempfile.TemporaryDirectory() as place:
        try:
            after, facts = (chosen if name == AUTO else single)(
                original, seed, name, budget, Path(place)
            )
            found |= facts | {"p": probabilities(after, seed)}
        except (Refused, Failed) as error:
            found["reason"] = str(error)
    found |= {
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "seconds": round(time.monotonic() - wall, 1),
    }
    write(file, found)


def place_of(work: Path, seed: int, name: str, budget: int) -> Path:
    return work / str(seed) / "cells" / f"{name}-{budget}.json"


def ends(work: Path, seed: int) -> None:
    """The original's and gold's probabilities on a case."""
    file = work / str(seed) / "ends.json"
    if not file.exists():
        for name in ("original", "gold"):
            train(work / str(seed), name, seed)
        write(
            file,
            {
                name: probabilities(load(work / str(seed) / name), seed)
                for name in ("original", "gold")
            },
        )


def write(file: Path, value: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.with_suffix(".tmp").write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    file.with_suffix(".tmp").replace(file)


def together(jobs: Sequence[tuple[Callable[..., None], tuple[Any, ...]]]) -> None:
    """Jobs in two processes of one thread each."""
    since = time.monotonic()
    with pool(WORKERS) as workers:
        waiting = {workers.submit(fn, *args): args for fn, args in jobs}
        for i, done in enumerate(as_completed(waiting), 1):
            done.result()
            print(
                f"{i}/{len(jobs)} {time.monotonic() - since:.0f} s",
                *waiting[done][1:3],
                file=sys.stderr,
                flush=True,
            )


def write_prior(by_steps: Sequence[Mapping[str, Mapping[str, float]]]) -> None:
    """The quality of every method after each of the numbers of steps, the best after the last of
    them first.
    """
    file = ROOT / "src" / "expunge" / "experiments" / "tuning" / "prior.py"
    head = file.read_text(encoding="utf-8").split("PRIOR: dict")[0]
    order = sorted(by_steps[-1], key=lambda n: (-by_steps[-1][n]["quality"], n))
    told = {n: ", ".join(f"{one[n]['quality']:.3f}" for one in by_steps) for n in order}
    lines = [f'    "{n}": ({numbers}),\n' for n, numbers in told.items()]
    file.write_text(
        head + "PRIOR: dict[str, tuple[float, ...]] = {\n" + "".join(lines) + "}\n",
        encoding="utf-8",
    )


# ------------------------------------------------------------------ what came out


def interval(values: Sequence[float]) -> tuple[float, float]:
    """95 % percentile bootstrap of the mean over cases."""
    rng = random.Random(0)
    means = sorted(fmean(rng.choices(values, k=len(values))) for _ in range(10_000))
    return means[249], means[9749]


def gathered(
    work: Path, cases: Sequence[int], names: Sequence[str], budget: int
) -> dict[str, list[dict[str, Any]]]:
    """name -> its cells in the order of the cases, with their quality (0 for what broke)."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name in names:
        for seed in cases:
            both = ends_of(work, seed)
            one = json.loads(place_of(work, seed, name, budget).read_text(encoding="utf-8"))
            one |= (
                rated(one["p"], both["original"], both["gold"])
                if "p" in one
                else {"quality": 0.0, "score": 0.0}
            )
            found.setdefault(name, []).append(one)
    return found


def ends_of(work: Path, seed: int) -> dict[str, dict[str, float]]:
    """What ``ends`` wrote."""
    found: dict[str, dict[str, float]] = json.loads(
        (work / str(seed) / "ends.json").read_text(encoding="utf-8")
    )
    return found


def summed(cells: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Mean quality with its interval over cases, mean parts, mean score."""
    row: dict[str, Any] = {
        "quality": fmean(c["quality"] for c in cells),
        "interval": list(interval([c["quality"] for c in cells])),
    }
    row |= {part: fmean(c.get(part, 0.0) for c in cells) for part in PARTS}
    if all("score" in c for c in cells):  # kept cells of an older version have none
        row["score"] = fmean(c["score"] for c in cells)
    return row | {"cpu_seconds": fmean(c["cpu_seconds"] for c in cells)}


def held_against(
    auto: Sequence[Mapping[str, Any]], cells: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """How often auto was better, worse or about the same."""
    apart = [a["quality"] - b["quality"] for a, b in zip(auto, cells, strict=True)]
    row: dict[str, Any] = {
        "wins": sum(d > TIE for d in apart),
        "losses": sum(d < -TIE for d in apart),
    }
    row["ties"] = len(apart) - row["wins"] - row["losses"]
    return row | {"difference": fmean(apart), "difference_interval": list(interval(apart))}


def agreement(singles: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[float]:
    """By case, Spearman's correlation over the single methods of auto's score with quality."""
    return [
        float(spearmanr([c["score"] for c in case], [c["quality"] for c in case])[0])
        for case in zip(*singles.values(), strict=True)
    ]


def page(made: Mapping[str, Any]) -> str:
    """results/auto.md, or results/prior.md where there is no auto."""
    with_auto = all(AUTO in one["methods"] for one in made["by_budget"].values())
    title = (
        "auto against every single method"
        if with_auto
        else "The order in which auto tries the methods"
    )
    parts = [f"# {title}", f"`{made['command']}`", made["machine"]]
    for budget, one in made["by_budget"].items():
        parts += [
            f"## {budget} steps",
            rows_of(one["methods"]),
            "\n".join(f"- {n}" for n in found_out(one)),
        ]
    if len(made["by_budget"]) > 1:
        parts += ["## What a short run foretells", foretold(*made["by_budget"].items())]
    cases = made["cases"]
    notes = [
        f"{len(cases)} built-in cases (seeds {cases[0]} to {cases[-1]}), the same number of "
        f"optimizer steps for each method and case. A\n"
        "  single method runs at its card's settings for the built-in case (found on seed 0; "
        "mudman's on seeds 0 to 3).",
        "**closeness**: 1 - |p - p of gold| / (p of the original - p of gold) on the forget rows; "
        "**retain**, **neighbor**: p / p of the\n"
        "  original, at most 1; **quality**: their harmonic mean. All on wordings that neither the "
        "models nor the search have seen.",
        "**score**: what auto goes by. It knows no gold: in the place of gold's probability stands "
        "a floor that is estimated from the\n"
        "  original.",
        "What broke counts as 0. The interval is over cases.",
        "No attack is part of this quality: the ranking of methods, with what relearning brings "
        "back, stands in bench.md. The question\n"
        "  here is only whether auto does as well as any single method by what both can see.",
    ]
    if with_auto:
        notes += [
            f"The budget of auto includes its search. Nothing was chosen on these cases. A tie is "
            f"a difference of at most {made['tie']}.",
            f"auto sets {ASIDE:.0%} of the retain groups aside while it searches, and looks at no "
            f"gold model and at no attack.",
        ]
    return "\n\n".join([*parts, "## How to read it", "\n".join(f"- {n}" for n in notes)]) + "\n"


def foretold(short: tuple[int, Mapping[str, Any]], long: tuple[int, Mapping[str, Any]]) -> str:
    """How far the score of a short run says what the long one comes to, over all methods of a case
    and over the good ones.
    """
    (few, first), (many, last) = short, long
    of_all, of_good = [], []
    for i in range(len(first["floors"])):
        pairs = [
            (first["cells"][n][i]["score"], last["cells"][n][i]["quality"]) for n in last["cells"]
        ]
        of_all.append(float(spearmanr(pairs)[0]))
        of_good.append(float(spearmanr([p for p in pairs if p[1] > GOOD])[0]))

    def said(rho: Sequence[float]) -> str:
        return f"{fmean(rho):.2f} ({min(rho):.2f} to {max(rho):.2f})"

    return (
        f"Spearman's correlation of the score after {few} steps with quality after {many}: "
        f"{said(of_all)} over all methods of a case,\n"
        f"{said(of_good)} over those that come to more than {GOOD}."
    )


def rows_of(found: Mapping[str, Mapping[str, Any]]) -> str:
    """The methods, best first."""
    number, rows = lambda x: f"{x:.3f}", []
    parts = (*PARTS, "score") if all("score" in m for m in found.values()) else PARTS
    for name in sorted(found, key=lambda n: -found[n]["quality"]):
        m, (low, high) = found[name], found[name]["interval"]
        cells = [
            name,
            f"{m['quality']:.3f} ({low:.3f} to {high:.3f})",
            *(number(m[k]) for k in parts),
        ]
        if AUTO in found:
            cells += (
                [str(m["wins"]), str(m["losses"]), str(m["ties"]), f"{m['difference']:+.3f}"]
                if name != AUTO
                else [""] * 4
            )
        rows.append([*cells, f"{m['cpu_seconds']:.0f}"])
    head = [
        "",
        "quality (95 %)",
        *parts,
        *(("auto wins", "loses", "ties", "auto minus it") if AUTO in found else ()),
        "CPU s",
    ]
    return table(head, rows)


def found_out(one: Mapping[str, Any]) -> list[str]:
    """How far the score can be trusted, and what auto chose."""
    rho, floors = one["agreement"], one["floors"]
    mean = {k: f"{fmean(f[k] for f in floors):.3f}" for k in floors[0]}
    apart = max(abs(f["floor"] - f["gold"]) for f in floors)
    said = [
        f"The floor is {mean['floor']} on average, gold's own probability {mean['gold']}, the "
        f"original's {mean['original']}; floor and\n"
        f"  gold are at most {apart:.3f} apart."
    ]
    if rho:
        span = f"{fmean(rho):.2f} ({min(rho):.2f} to {max(rho):.2f})"
        said += [f"Spearman's correlation of score and quality over the methods of a case: {span}."]
    if AUTO in one["methods"]:
        said += [
            "What auto chose, by case: "
            + ", ".join(f"{c['seed']}: {c.get('method', 'none')}" for c in one["cells"][AUTO])
            + "."
        ]
    return said


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--work",
        type=Path,
        required=True,
        help="folder for models and finished cells; run again to go on",
    )
    parser.add_argument("--cases", help="seeds, separated by commas")
    parser.add_argument(
        "--methods",
        default="",
        help="those to hold it against, separated by commas; default: all with settings for the "
        "built-in case",
    )
    parser.add_argument("--budget", type=int, default=BUDGET)
    parser.add_argument(
        "--prior",
        action="store_true",
        help="the single methods alone; writes the order of the candidates",
    )
    parser.add_argument(
        "--out",
        type=Path,
        help="name of the results, without an ending (default: results/auto or results/prior)",
    )
    given = parser.parse_args()
    named = tunable(tuple(m for m in given.methods.split(",") if m))
    methods = tuple(
        m for m in named if "builtin" in registry.member("methods", m).card.get("settings", {})
    )
    cases = (
        tuple(map(int, given.cases.split(",")))
        if given.cases
        else PRIOR_CASES
        if given.prior
        else CASES
    )
    told = words_of([a for a in sys.argv[1:] if Path(a) != given.work])
    made: dict[str, Any] = {
        "command": f"python benchmarks/auto.py {told}".replace("--work", "--work DIR")
    }
    made |= {"cases": cases, "tie": TIE, "by_budget": {}}
    together([(ends, (given.work, seed)) for seed in cases])
    for budget in STEPS if given.prior else (given.budget,):
        made["by_budget"][budget] = measured(
            given.work, cases, methods if given.prior else (AUTO, *methods), budget
        )
    made["machine"] = machine(load(given.work / str(cases[0]) / "gold").device)
    if given.prior:
        write_prior([one["methods"] for one in made["by_budget"].values()])
    out = given.out or ROOT / "results" / ("prior" if given.prior else "auto")
    out.parent.mkdir(parents=True, exist_ok=True)
    write(out.with_suffix(".json"), made)
    out.with_suffix(".md").write_text(page(made), encoding="utf-8")
    print(page(made))


def measured(work: Path, cases: Sequence[int], names: Sequence[str], budget: int) -> dict[str, Any]:
    """All cells of a budget, made or found, and what they say together."""
    together([(cell, (work, seed, name, budget)) for seed in cases for name in names])
    found = gathered(work, cases, names, budget)
    singles = {name: cells for name, cells in found.items() if name != AUTO}
    floors = [
        next(c["floor"] for c in case if "floor" in c) for case in zip(*found.values(), strict=True)
    ]
    return {
        "floors": [
            {"floor": f} | {name: p["forget"] for name, p in ends_of(work, s).items()}
            for s, f in zip(cases, floors, strict=True)
        ],
        "agreement": agreement(singles)
        if all("score" in c for cells in singles.values() for c in cells)
        else None,
        "methods": {
            n: summed(c) | (held_against(found[AUTO], c) if AUTO in found else {})
            for n, c in found.items()
        },
        "cells": found,
    }


if __name__ == "__main__":
    main()
