"""Small files of rows, and that a refusal names the place and never a text."""

import gzip
import json

import pytest

from expunge.core.errors import Refused
from expunge.data.read import read

SECRET = "Zanzibar"


ROWS = [{"question": f"Q{i} {SECRET}?", "answer": f"A{i} {SECRET}"} for i in range(3)]


def put(folder, name, text):
    """A file of this text (or these bytes), packed if it ends in .gz."""
    data = text.encode() if isinstance(text, str) else text
    place = folder / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return place


def lines(rows=ROWS):
    return "".join(json.dumps(r) + "\n" for r in rows)


def refused(source, *parts, **how):
    """Reading is refused in one line that has all ``parts`` and no data."""
    with pytest.raises(Refused) as e:
        read(source, role="forget", **how)
    said = str(e.value)
    assert "\n" not in said and SECRET not in said, said
    for part in parts:
        assert part in said, said
    return said
