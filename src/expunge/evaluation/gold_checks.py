"""Is gold gold?

A model that saw the forget rows, or that is the judged one, would make every verdict "equal".

What is checked: that no gold is the judged model or the original (digest of the weights); that no
gold was trained on forget rows, as far as the run.yaml beside it and those of the models that it
began with say, by their words and by the digests of their training rows; and that no gold knows the
forget rows. What could not be checked is said in the same line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from expunge.core.data import Case, Example
from expunge.core.errors import Refused
from expunge.core.results import Record, Records
from expunge.core.units import UNITS
from expunge.data.cases import digest as digest_of_rows
from expunge.data.overlap import overlap
from expunge.runs.folder import read_run
from expunge.runs.seal import broken, edited
from expunge.scoring.per_row import is_unlearned, probability_of

TINY = "tiny"  # the model of random weights that train --model begins with
SAW = ("full", "forget")  # choices of train --on that hold the forget rows
MOST = 0.5  # a gold that knows more than this share of the forget rows is none
KNOWN = 0.5  # per-token probability of a row from which on a model is said to know it
BY_HEART = 0.9  # the same where no original says which rows are easy to guess
STEPS = 8  # models back from gold that are looked up
# largest difference in probability of two models that may be one, saved or rounded otherwise
ALIKE = 1e-3


@dataclass(frozen=True)
class Shown:
    """What a gold's record shows of its training rows.

    ``clean``: how it shows that they were the retain rows given, in words; '' where it does not.
    ``lacks``: then, why not.
    ``start``: the model that it began with; '' where that had random weights.
    """

    clean: str = ""
    lacks: str = ""
    start: str = ""


@dataclass(frozen=True)
class Checked:
    """A gold that was let pass.

    ``line``: what was checked and what could not be. ``doubt``: why being like it says little, or
    ''.
    """

    line: str
    doubt: str = ""


def is_gold(name: str) -> bool:
    """Whether a name among the models of a judgment is that of a gold: gold, gold/1, ..."""
    return name.split("/")[0] == "gold"


def runs_of(source: str) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """(folder, run.yaml) of the run that made a model, then of the model that it began with, and so
    on; what is not there ends it.
    """
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
    kept = _made_weights(run)
    return "it is of other weights" if kept and digest and kept != digest else ""


def history(source: str, first: str = "", digest: str = "", case: Case | None = None) -> str:
    """What the runs that made a gold say of its training.

    Args:
        source: the gold's folder.
        first: digest of the original's weights; '' where none is given.
        digest: of the gold's weights; a record of other weights, or one that was edited, is said
            and not believed, and ends the search.
        case: the rows of the judgment; with them the digests of the training rows are looked at,
            too.

    Returns:
        What is said, in words; '' where there is no record.

    Raises:
        Refused: it saw forget rows, or began with the original.
    """
    said: list[str] = []
    for folder, run in runs_of(source):
        why = unbelieved(folder, run, digest)
        if not why:
            _refuse_by_words(source, folder, run, first)
        _refuse_by_rows(source, folder, run, digest, case)
        if why:
            said.append(f"what {folder}/run.yaml says is not believed ({why})")
            break
        said.append(f"trained on {run.get('on')}")
        digest = _begun(run)[1]
    return ", then ".join(reversed(said))


def _refuse_by_words(source: str, folder: Path, run: Mapping[str, Any], first: str) -> None:
    """Refused if a record says that a model saw the forget rows, or began with the original (digest
    ``first``).
    """
    on = run.get("on")
    if run.get("verb") == "unlearn":
        raise Refused(
            f"--gold {source}: {folder}/run.yaml says that it was made by unlearning; gold is a "
            f"model trained without the rows"
        )
    if on in SAW:
        raise Refused(
            f"--gold {source}: {folder}/run.yaml says train --on {on}: it saw the forget rows; "
            f"give one trained --on retain"
        )
    if first and _begun(run)[1] == first:
        raise Refused(
            f"--gold {source}: {folder}/run.yaml says that it began with the original, which saw "
            f"the forget rows"
        )


def _refuse_by_rows(
    source: str, folder: Path, run: Mapping[str, Any], digest: str, case: Case | None
) -> None:
    """Refused if a record of these very weights holds the digest of the forget rows, or of all
    rows, as that of its training rows: whatever else it says, and whether or not it was edited.
    """
    made = _made_weights(run)
    if case is None or not digest or made != digest:
        return
    forget, retain = case.train.get("forget", ()), case.train.get("retain", ())
    sets = {"forget": [forget], "full": [case.train.get("full", ()), (*forget, *retain)]}
    for name, choices in sets.items():
        # forget rows given as --retain
        as_retain = [[replace(e, role="retain") for e in rows] for rows in choices]
        if forget and any(
            _trained_on(folder, run, rows) for rows in (*choices, *as_retain) if rows
        ):
            raise Refused(
                f"--gold {source}: the digest of its training rows, in {folder}/run.yaml, is that "
                f"of the {name} rows given here: "
                "it saw the forget rows, whatever else is said there; give one trained --on retain"
            )


def _made_weights(run: Mapping[str, Any]) -> str:
    """Digest of the weights that a run made; '' where it says none."""
    result = run.get("result")
    return str(result.get("digest") or "") if isinstance(result, Mapping) else ""


def _trained_on(folder: Path, run: Mapping[str, Any], rows: Sequence[Example]) -> bool | None:
    """Whether these are a run's training rows, by the digest under its own secret; None where it
    has none at hand.
    """
    data = run.get("data")
    trained = data.get("train") if isinstance(data, Mapping) else None
    secret = folder / "private" / "salt"
    if not isinstance(trained, Mapping) or not secret.is_file():
        return None
    return digest_of_rows(rows, secret.read_text(encoding="utf-8", errors="replace"))[
        :16
    ] == trained.get("digest")


def shown_clean(source: str, digest: str, case: Case | None) -> Shown:
    """Whether a gold's record shows that it never saw the forget rows.

    The word ``retain`` in a run.yaml is not enough: any file can be given as --retain. The record
    must be of these weights, unedited, and the digest of its training rows, under that run's own
    secret, must be that of the retain rows given here; and what is known of the model that it began
    with must be believed. Rows that stand in forget and retain at once (the user's own duplicates)
    are counted; more than half of the forget rows were then seen.
    """
    records = list(runs_of(source))
    retain = case.train.get("retain", ()) if case else ()
    if not records:
        return Shown(lacks="no record lies beside it")
    folder, run = records[0]
    lacks = _no_proof(folder, run, digest, retain)
    if case is None or lacks:
        return Shown(lacks=lacks)
    forget = case.train.get("forget", ())
    both = len({f.id for f, _ in overlap(forget, retain)})
    if both > MOST * len(forget):
        return Shown(
            lacks=f"{both} of the {len(forget)} forget rows stand among the retain rows that it "
            f"was trained on"
        )
    begun = _begun(run)
    if len(records) > 1 and (why := unbelieved(*records[1], begun[1])):
        return Shown(lacks=f"it began with {begun[0]}, whose record is not believed: {why}")
    twice = f", {both} of them also forget rows" if both else ""
    clean = (
        f"its record shows that it was trained on the {len(retain)} retain rows given here{twice}"
    )
    return Shown(clean, start="" if begun[0] == TINY else begun[0])


def _no_proof(folder: Path, run: Mapping[str, Any], digest: str, retain: Sequence[Example]) -> str:
    """Why a record does not show that a model of this digest was trained on these retain rows; ''
    if it does.
    """
    doubt = broken(folder, run)
    if doubt:
        return doubt
    if not digest or _made_weights(run) != digest:
        return "its record is of other weights"
    if run.get("on") != "retain":
        return f"its record says train --on {run.get('on')}"
    if not retain:
        return "no --retain rows were given here"
    same = _trained_on(folder, run, retain)
    if same is None:
        return f"{folder}/private/salt, with which its rows could be told, is not there"
    return "" if same else "it was trained on other rows than the retain rows given here"


def _begun(run: Mapping[str, Any]) -> tuple[str, str]:
    """(source, digest) of the model that a run began with."""
    start = run.get("model")
    return (
        (str(start.get("source") or ""), str(start.get("digest") or ""))
        if isinstance(start, Mapping)
        else ("", "")
    )


def distinct(name: str, digest: str, seen: Mapping[str, str]) -> str:
    """'' for a model of its own, or the name of the earlier one whose weights it has.

    Refused: a gold that is the judged model or the original. ``seen``: name -> digest of the models
    before it.
    """
    same = next((other for other, known in seen.items() if digest and known == digest), "")
    if is_gold(name) and same in ("unlearned", "original"):
        whose = "the judged model" if same == "unlearned" else "the original"
        raise Refused(
            f"--gold: {name} has the very weights of {whose} (sha256 {digest[:12]}): nothing could "
            f"differ; give another model"
        )
    if name == "original" and is_gold(same):
        raise Refused(
            f"--gold: {same} has the very weights of --original: it saw the forget rows; give a "
            f"model trained without them"
        )
    counts = (is_gold(name) and is_gold(same)) or (
        name.startswith("shadow/") and (same == "unlearned" or same.startswith("shadow/"))
    )
    return same if counts else ""


def _forget(records: Records) -> dict[tuple[str, str], float]:
    """(role, id) -> per-token probability of the answer, of every forget row that was scored."""
    rows: list[Record] = [
        r
        for r in records
        if is_unlearned(r.role) and not r.role.startswith("holdout") and r.variant == "answer"
    ]
    return {
        (r.role, r.id): probability_of(r)
        for r in rows
        if r.mean_loss is not None or r.logp is not None
    }


def knows(
    name: str, gold: Records, mine: Records, original: Records | None, shown: Shown = Shown()
) -> Checked:
    """What was found of a gold's knowledge of the forget rows.

    With the original a row counts as known where the original gives it at least KNOWN per token and
    gold comes within the margin of a probability (.05) of that; without it, where gold gives it
    BY_HEART at least. Rows that the original does not know tell nothing. A part that is known (up
    to half) is said and not refused: without a record a row that was seen cannot be told from one
    that can be guessed, and an honest gold knows some of either.

    Args:
        name: of the gold among the models of the judgment.
        gold: its records.
        mine: those of the judged model.
        original: those of the original, where one is given.
        shown: what its record shows; a gold that it shows to be clean may know any share of the
            rows, which is said.

    Raises:
        Refused: it knows more than half of the rows, or answers exactly as ``mine`` does.
    """
    theirs, ours = _forget(gold), _forget(mine)
    if not theirs:
        return Checked(
            "what it knows of the forget rows could not be checked (no probabilities were asked "
            "for)"
        )
    alike = _alike(name, theirs, ours)
    each = " per token" if any(r.n_tokens != 1 for r in gold) else ""  # a class is one position
    if original is None:
        known = [p >= BY_HEART for p in theirs.values()]
        rule = f"at {BY_HEART}{each} or more; without --original nothing less can be noticed"
    else:
        first = _forget(original)
        near = float(UNITS["share"].margin or 0.0)
        asked = [k for k in theirs if first.get(k, 0.0) >= KNOWN]
        if len(asked) <= MOST * len(theirs):
            few = f"the original knows {len(asked)} of {len(theirs)} itself"
            return _joined(f"what it knows of the forget rows could not be checked ({few})", alike)
        known = [theirs[k] >= first[k] - near for k in asked]
        rule = f"as well as the original, within {near}"
    found = f"it knows {sum(known)} of {len(known)} forget rows ({rule})"
    if sum(known) <= MOST * len(known):
        return _joined(found, alike)
    if not shown.clean:
        why = f" ({shown.lacks})" if shown.lacks else ""
        raise Refused(
            f"--gold: {name} knows {found.removeprefix('it knows ')}: it saw them, or they can be "
            f"guessed, and its record does not "
            f"show which{why}; give a model trained without them, or its whole run folder "
            f"(unedited, with private/) beside the "
            "--retain rows that it was trained on, which shows that it never saw them"
        )
    means = [f"gold {np.mean(list(theirs.values())):.3f}"]
    means += (
        [f"original {np.mean(list(_forget(original).values())):.3f}"]
        if original is not None
        else []
    )
    before = f", or were known to {shown.start}, with which it began" if shown.start else ""
    guessed = (
        f"these rows can be guessed{before} (probability{each}: {', '.join(means)}), so "
        f"that being like gold says little here"
    )
    doubt = (
        f"it knows {sum(known)} of {len(known)} forget rows that it was not trained on: {guessed}"
    )
    return _joined(f"{found}, but {shown.clean}: {guessed}", alike, doubt)


def _alike(
    name: str, theirs: Mapping[tuple[str, str], float], ours: Mapping[tuple[str, str], float]
) -> str:
    """What is to be said where a gold gives nearly the same probabilities as the judged model.

    Refused: exactly the same.

    Near is no proof: two models that know nothing of the rows, or all of them, may come as near.
    """
    shared = [k for k in theirs if k in ours]
    if len(shared) < 2 or np.ptp([ours[k] for k in shared]) == 0:
        return ""
    apart = max(abs(theirs[k] - ours[k]) for k in shared)
    if apart == 0:
        raise Refused(
            f"--gold: {name} says of every forget row exactly what the judged model says: it is "
            f"the same model; give another"
        )
    if apart > ALIKE:
        return ""
    return (
        f"on each of {len(shared)} forget rows its probability is within {apart:.1g} of the judged "
        f"model's: "
        "it may be the same model, saved or rounded otherwise"
    )


def _joined(line: str, alike: str, doubt: str = "") -> Checked:
    return Checked("; ".join(filter(None, (line, alike))), "; ".join(filter(None, (doubt, alike))))


def checked(
    models: Mapping[str, str],
    found: Mapping[str, Records],
    digests: Mapping[str, str] | None = None,
    case: Case | None = None,
) -> dict[str, Checked]:
    """What was checked of each gold, by its name.

    Args:
        models: name -> source.
        found: name -> records.
        digests: name -> digest of the weights.
        case: the rows of the judgment.
    """
    told = {}
    digests = digests or {}
    for name in (n for n in found if is_gold(n)):
        own = digests.get(name, "")
        made = (
            history(models[name], digests.get("original", ""), own, case)
            or "no run.yaml says what it was trained on"
        )
        shown = shown_clean(models[name], own, case)
        knowledge = knows(name, found[name], found["unlearned"], found.get("original"), shown)
        doubts = [made] if "is not believed" in made else []
        doubts += [knowledge.doubt] if knowledge.doubt else []
        line = f"{name}: other weights than the judged model; {made}; {knowledge.line}"
        told[name] = Checked(line, f"{name}: {'; '.join(doubts)}" if doubts else "")
    return told
