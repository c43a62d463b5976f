"""A chain of digests from the models of a run over its records and measurements to its comparison, kept in run.yaml as ``seal``.

Each link is the sha256 of the link before it, a file's name and the file's own sha256; the first is over the digests of the models
that were judged, their rows and what the run is called to be. A number that is edited later shows, and so does everything behind it.

This is evidence of tampering and no signature: who may write the folder can make a new chain. Where the run's secret is at hand (in
OUT/private) the chain's end is also held against a keyed hash, which nobody without that secret can make anew.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from expunge.core.files import sha256_of

FILES = ("records/part-0.parquet", "measurements.json", "comparison.json", "curves.json")  # in the order in which they are made
FACTS = ("model", "gold", "original", "data", "kind", "attack")  # of run.yaml; and gold/1 ..., shadow/0 ...
UNSEALED = "its numbers cannot be checked: no digests were kept with them"


def sealed(run: Path, facts: Mapping[str, Any], salt: str = "") -> dict[str, Any]:
    """The seal of a run folder whose files are written: ``links``, and with a salt ``under`` (which secret) and ``keyed``."""
    links = dict(_links(run, facts))
    end = list(links.values())[-1]
    return {"links": links, **({"under": _under(salt), "keyed": _keyed(end, salt)} if salt else {})}


def broken(run: Path, facts: Mapping[str, Any]) -> str:
    """What is not as it was when the run was sealed, in one line; ``UNSEALED`` if it never was; '' if all is.

    ``facts``: the run.yaml as it is now.
    """
    seal = facts.get("seal")
    if not isinstance(seal, Mapping) or not isinstance(seal.get("links"), Mapping):
        return UNSEALED
    kept, now = dict(seal["links"]), dict(_links(run, facts))
    for name, link in now.items():
        if name not in kept:
            return f"{name} was put there after the run"
        if kept[name] != link:
            return "what run.yaml says of the models was edited" if name == "run" else f"{name} was edited after the run"
    lost = [name for name in kept if name not in now]
    if lost:
        return f"{lost[0]} was removed after the run"
    salt = _secret(run)
    if salt and "keyed" not in seal and (run / "records" / "part-0.parquet").is_file():  # eval keys what it measured
        return "the keyed end of its digests was removed after the run"
    if salt and _under(salt) == seal.get("under"):
        end = list(now.values())[-1]
        if not hmac.compare_digest(_keyed(end, salt), str(seal["keyed"])):
            return "its digests were made anew after the run"
    return ""


def edited(doubt: str) -> bool:
    """Whether what ``broken`` said is that something was changed, and not only that nothing can be checked."""
    return doubt not in ("", UNSEALED)


def _links(run: Path, facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    named = {k: v for k, v in facts.items() if k in FACTS or k.split("/")[0] in ("gold", "shadow")}
    link = sha256(json.dumps(named, sort_keys=True, default=str).encode()).hexdigest()
    yield "run", link
    for name in FILES:
        if (run / name).is_file():
            link = sha256(f"{link} {name} {sha256_of(run / name)}".encode()).hexdigest()
            yield name, link


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
