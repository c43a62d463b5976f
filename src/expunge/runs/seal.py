"""A chain of digests from what a run says of itself over its records and measurements to its
comparison, kept in run.yaml as ``seal``.

Each link is the sha256 of the link before it, a file's name and the file's own sha256; the first is
over everything else in run.yaml (the digests of the models and their rows, the kind, the label, the
status, what the run did, its settings): a report acts upon many of these, and a list of them would
lack the next one. A number that is edited later shows, and so does everything behind it.

This is evidence of tampering and no signature: who may write the folder can make a new chain. Where
the run's secret is at hand (in OUT/private) the chain's end is also held against a keyed hash,
which nobody without that secret can make anew; the texts that a model wrote are held against one
alone, since an open digest of theirs could be tried against guesses, and they may be removed.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from expunge.core.files import sha256_of

VERSION = 2  # raise when the chain is made of other things
# in the order of the chain
FILES = (
    "records/part-0.parquet",
    "measurements.json",
    "comparison.json",
    "curves.json",
    "log.jsonl",
)
TEXTS = "private/texts.json"
UNSEALED = "its numbers cannot be checked: no digests were kept with them"
OLDER = (
    "its numbers cannot be checked: another version of expunge sealed them otherwise; run it again"
)


def sealed(run: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The seal of a run folder whose files are written: ``links``; where the run has a secret also
    ``under`` (which secret), ``keyed`` (the chain's end) and ``texts``. ``facts``: its run.yaml as
    it will be read again.
    """
    links = dict(_links(run, facts))
    seal: dict[str, Any] = {"version": VERSION, "links": links}
    salt = _secret(run)
    if salt:
        seal |= {"under": _under(salt), "keyed": _keyed(list(links.values())[-1], salt)}
        if (run / TEXTS).is_file():
            seal["texts"] = _keyed(sha256_of(run / TEXTS), salt)
    return seal


def broken(run: Path, facts: Mapping[str, Any]) -> str:
    """What is not as it was when the run was sealed, in one line; ``UNSEALED`` if it never was,
    ``OLDER`` if by another rule; '' if all is.

    ``facts``: the run.yaml as it is now.
    """
    seal = facts.get("seal")
    if not isinstance(seal, Mapping) or not isinstance(seal.get("links"), Mapping):
        return UNSEALED
    if seal.get("version") != VERSION:
        return OLDER
    kept = dict(seal["links"])
    now = dict(_links(run, facts))
    for name, link in now.items():
        if name not in kept:
            return f"{name} was put there after the run"
        if kept[name] != link:
            return f"{'run.yaml' if name == 'run' else name} was edited after the run"
    lost = [name for name in kept if name not in now]
    if lost:
        return f"{lost[0]} was removed after the run"
    salt = _secret(run)
    if salt:
        return _under_secret(run, seal, list(now.values())[-1], salt)
    return ""


def _under_secret(run: Path, seal: Mapping[str, Any], end: str, salt: str) -> str:
    """What the run's secret shows besides: a chain made anew, or texts that were edited."""
    if "keyed" not in seal:  # a run that has a secret keys its end
        return "the keyed end of its digests was removed after the run"
    if seal.get("under") != _under(salt):
        return "private/salt was replaced after the run"
    if not hmac.compare_digest(_keyed(end, salt), str(seal["keyed"])):
        return "its digests were made anew after the run"
    if (run / TEXTS).is_file():
        if "texts" not in seal:
            return f"{TEXTS} was put there after the run"
        if not hmac.compare_digest(_keyed(sha256_of(run / TEXTS), salt), str(seal["texts"])):
            return f"{TEXTS} was edited after the run"
    return ""


def edited(doubt: str) -> bool:
    """Whether what ``broken`` said is that something was changed, and not only that nothing can be
    checked.
    """
    return doubt not in ("", UNSEALED, OLDER)


def _links(run: Path, facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    named = _in_order({k: v for k, v in facts.items() if k != "seal"})
    link = sha256(json.dumps(named, default=str).encode()).hexdigest()
    yield "run", link
    for name in FILES:
        if (run / name).is_file():
            link = sha256(f"{link} {name} {sha256_of(run / name)}".encode()).hexdigest()
            yield name, link


def _in_order(value: Any) -> Any:
    """Plain values with every mapping as its pairs in order, whatever a stranger's file has for
    keys.
    """
    if isinstance(value, Mapping):
        return [
            [str(k), _in_order(v)] for k, v in sorted(value.items(), key=lambda pair: str(pair[0]))
        ]
    if isinstance(value, list):
        return [_in_order(v) for v in value]
    return value


def _keyed(text: str, salt: str) -> str:
    return hmac.new(salt.encode(), text.encode(), sha256).hexdigest()


def _under(salt: str) -> str:
    """Tells secrets apart without telling them."""
    return _keyed("seal", salt)[:8]


def _secret(run: Path) -> str:
    """The run's own secret; '' where it is not at hand."""
    try:
        return (run / "private" / "salt").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
