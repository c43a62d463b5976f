"""Who reaches through a model: outside models/ nobody should read its torch module or its
tokenizer.

The number may only fall.
"""

import ast
from pathlib import Path

import expunge

HOME = Path(expunge.__file__).parent
# owners that hold a name of a model, or a model of their own
OTHERS = ("request", "asked", "trainer", "place", "self", "args", "bench", "plan", "tokens", "part")
NO_MODEL = ("cli/", "report/")  # rooms that hold numbers of models, and no model
MOST = 7  # places that still do; lower it when some are mended, never raise it


def reaches(file):
    """How often a file reads ``.model`` or ``.tokenizer`` of something that may be a model."""
    count = 0
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and node.attr in ("model", "tokenizer"):
            owner = node.value
            name = owner.id if isinstance(owner, ast.Name) else getattr(owner, "attr", "")
            count += name not in OTHERS
    return count


def found():
    """Every file outside models/ that reaches through a model."""
    counts = {}
    for file in sorted(HOME.rglob("*.py")):
        place = file.relative_to(HOME).as_posix()
        if not place.startswith(("models/", *NO_MODEL)) and reaches(file):
            counts[place] = reaches(file)
    return counts


def test_no_more_places_reach_through_a_model():
    counts = found()
    most = sorted(counts.items(), key=lambda item: -item[1])
    total = sum(counts.values())
    assert total <= MOST, (
        f"{total} places read .model or .tokenizer (models/base.py says what to ask instead): "
        f"{most}"
    )
