"""Is gold gold? A model that saw the forget rows, or that is the judged one, would make every verdict "equal".

What is checked: that no gold is the judged model or the original (digest of the weights); that no gold was trained on forget rows, as far
as the run.yaml beside it and those of the models that it began with say; and that no gold knows the forget rows. What could not be
checked is said in the same line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from expunge.core.data import Case
from expunge.core.errors import Refused
from expunge.core.results import Record, Records
from expunge.core.units import UNITS
from expunge.data.cases import digest as digest_of_rows
from expunge.data.overlap import overlap
from expunge.runs.folder import read_run
from expunge.runs.seal import broken, edited
from expunge.scoring.per_row import is_unlearned, probability_of

SAW = ("full", "forget")  # choices of train --on that hold the forget rows
MOST = 0.5  # a gold that knows more than this share of the forget rows is none
KNOWN = 0.5  # per-token probability of a row from which on a model is said to know it
BY_HEART = 0.9  # the same where no original says which rows are easy to guess
STEPS = 8  # models back from gold that are looked up


def is_gold(name: str) -> bool:
    """Whether a name among the models of a judgement is that of a gold: gold, gold/1, ..."""
    return name.split("/")[0] == "gold"


def runs_of(source: str) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """(folder, run.yaml) of the run that made a model, then of the model that it began with, and so on; what is not there ends it."""
    for _ in range(STEPS):
        place = Path(source)
        folder = next((p for p in (place, place.parent) if (p / "run.yaml").is_file()), None)
        if folder is None or not place.is_dir():
            return
        run = read_run(folder)
        yield folder, run
        start = run.get("model")
        source = str(start.get("source", "")) if isinstance(start, Mapping) else ""


def unbelieved(folder: Path, run: Mapping[str, Any], digest: str) -> str:
    """Why a run.yaml says nothing of a model with this digest; '' if it does."""
    doubt = broken(folder, run)
    if edited(doubt):
        return doubt
    result = run.get("result")
    kept = str(result.get("digest") or "") if isinstance(result, Mapping) else ""
    return "it is of other weights" if kept and digest and kept != digest else ""


def history(source: str, first: str = "", digest: str = "") -> str:
    """What the runs that made a gold say of its training. Refused if it saw forget rows, or began with the original (digest ``first``).

    ``digest``: of the gold's weights; a record of other weights, or one that was edited, is said and not believed, and ends the search.
    """
    said: list[str] = []
    for folder, run in runs_of(source):
        on, start = run.get("on"), run.get("model")
        why = unbelieved(folder, run, digest)
        if why:
            said.append(f"what {folder}/run.yaml says is not believed ({why})")
            break
        if run.get("verb") == "unlearn":
            raise Refused(
                f"--gold {source}: {folder}/run.yaml says that it was made by unlearning; gold is a model trained without the rows"
            )
        if on in SAW:
            raise Refused(f"--gold {source}: {folder}/run.yaml says train --on {on}: it saw the forget rows; give one trained --on retain")
        begun = str(start.get("digest") or "") if isinstance(start, Mapping) else ""
        if first and begun == first:
            raise Refused(f"--gold {source}: {folder}/run.yaml says that it began with the original, which saw the forget rows")
        said.append(f"trained on {on}")
        digest = begun
    return ", then ".join(reversed(said))


def shown_clean(source: str, digest: str, case: Case | None) -> str:
    """How a gold's record shows that it never saw the forget rows, in words; '' where it does not.

    The word ``retain`` in a run.yaml is not enough: any file can be given as --retain. The record must be of these weights, unedited,
    and the digest of its training rows, under that run's own secret, must be that of the retain rows given here. Rows that stand
    in forget and retain at once (the user's own duplicates) are counted and are no fault of the gold.
    """
    folder, run = next(runs_of(source), (None, {}))
    retain = case.train.get("retain", ()) if case else ()
    result = run.get("result")
    if folder is None or not retain or run.get("on") != "retain" or not digest:
        return ""
    if not isinstance(result, Mapping) or result.get("digest") != digest or broken(folder, run):
        return ""
    data = run.get("data")
    trained = data.get("train") if isinstance(data, Mapping) else None
    secret = folder / "private" / "salt"
    if not isinstance(trained, Mapping) or not secret.is_file():
        return ""
    if digest_of_rows(retain, secret.read_text(encoding="utf-8", errors="replace"))[:16] != trained.get("digest"):
        return ""
    both = len(overlap(case.train.get("forget", ()), retain)) if case else 0
    twice = f", {both} of them also forget rows" if both else ""
    return f"its record shows that it was trained on the {len(retain)} retain rows given here{twice}"


def distinct(name: str, digest: str, seen: Mapping[str, str]) -> str:
    """'' for a model of its own, or the name of the earlier one whose weights it has. Refused: a gold that is the judged model or the
    original. ``seen``: name -> digest of the models before it."""
    same = next((other for other, known in seen.items() if digest and known == digest), "")
    if is_gold(name) and same in ("unlearned", "original"):
        whose = "the judged model" if same == "unlearned" else "the original"
        raise Refused(f"--gold: {name} has the very weights of {whose} (sha256 {digest[:12]}): nothing could differ; give another model")
    if name == "original" and is_gold(same):
        raise Refused(f"--gold: {same} has the very weights of --original: it saw the forget rows; give a model trained without them")
    counts = (is_gold(name) and is_gold(same)) or (name.startswith("shadow/") and (same == "unlearned" or same.startswith("shadow/")))
    return same if counts else ""


def _forget(records: Records) -> dict[tuple[str, str], float]:
    """(role, id) -> per-token probability of the answer, of every forget row that was scored."""
    rows: list[Record] = [r for r in records if is_unlearned(r.role) and not r.role.startswith("holdout") and r.variant == "answer"]
    return {(r.role, r.id): probability_of(r) for r in rows if r.mean_loss is not None or r.logp is not None}


def knows(name: str, gold: Records, mine: Records, original: Records | None, clean: str = "") -> str:
    """What was found of a gold's knowledge of the forget rows. Refused if it knows more than half of them, or answers as ``mine`` does.

    ``clean``: how its record shows that it never saw them (``shown_clean``); rows that it knows can then be guessed, which is said and
    is no ground to refuse. A part that is known (up to half) is said and not refused: without a record a row that was seen
    cannot be told from one that can be guessed, and an honest gold knows some of either.

    With the original a row counts as known where the original gives it at least KNOWN per token and gold comes within the margin of a
    probability (.05) of that; without it, where gold gives it BY_HEART at least. Rows that the original does not know tell nothing.
    """
    theirs, ours = _forget(gold), _forget(mine)
    if not theirs:
        return "what it knows of the forget rows could not be checked (no probabilities were asked for)"
    shared = [k for k in theirs if k in ours]
    if len(shared) > 1 and np.ptp([ours[k] for k in shared]) > 0 and all(theirs[k] == ours[k] for k in shared):
        raise Refused(f"--gold: {name} says of every forget row exactly what the judged model says: it is the same model; give another")
    if original is None:
        known = [p >= BY_HEART for p in theirs.values()]
        rule = f"at {BY_HEART} per token or more; without --original nothing less can be noticed"
    else:
        first = _forget(original)
        near = float(UNITS["share"].margin or 0.0)
        asked = [k for k in theirs if first.get(k, 0.0) >= KNOWN]
        if len(asked) <= MOST * len(theirs):
            return f"what it knows of the forget rows could not be checked (the original knows {len(asked)} of {len(theirs)} itself)"
        known = [theirs[k] >= first[k] - near for k in asked]
        rule = f"as well as the original, within {near}"
    if sum(known) > MOST * len(known) and clean:
        means = [f"gold {np.mean(list(theirs.values())):.3f}"]
        means += [f"original {np.mean(list(_forget(original).values())):.3f}"] if original is not None else []
        return (
            f"it knows {sum(known)} of {len(known)} forget rows ({rule}), but {clean}: these rows can be guessed "
            f"(probability per token: {', '.join(means)}), so that being like gold says little here"
        )
    if sum(known) > MOST * len(known):
        raise Refused(
            f"--gold: {name} knows {sum(known)} of {len(known)} forget rows ({rule}): it saw them, or they can be guessed; "
            "give a model trained without them, or its whole run folder (unedited, with private/) beside the --retain rows "
            "that it was trained on, which shows that it never saw them"
        )
    return f"it knows {sum(known)} of {len(known)} forget rows ({rule})"


def checked(
    models: Mapping[str, str],
    found: Mapping[str, Records],
    digests: Mapping[str, str] | None = None,
    case: Case | None = None,
) -> list[str]:
    """A line for each gold: what was checked and what could not be. ``models``: name -> source; ``found``: name -> records;
    ``digests``: name -> digest of the weights; ``case``: the rows of the judgement."""
    told = []
    digests = digests or {}
    for name in (n for n in found if is_gold(n)):
        own = digests.get(name, "")
        made = history(models[name], digests.get("original", ""), own) or "no run.yaml says what it was trained on"
        clean = shown_clean(models[name], own, case)
        knowledge = knows(name, found[name], found["unlearned"], found.get("original"), clean)
        told.append(f"{name}: other weights than the judged model; {made}; {knowledge}")
    return told
