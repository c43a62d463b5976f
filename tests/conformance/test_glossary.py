"""The glossary's map of old to new module names leads to modules that there are."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_modules_that_the_glossary_names_exist():
    """The right side of its table of old and new names."""
    package = ROOT / "src" / "expunge"
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").partition("| was | is |")[2]
    new = re.findall(r"^\| \S+ \| ([a-z_.]+) \|$", text, re.MULTILINE)
    gone = [
        name for name in new if not (package / name.replace(".", "/")).with_suffix(".py").is_file()
    ]
    assert len(new) > 100 and not gone, (
        f"{gone}: say in docs/glossary.md where they are now, or take the lines out"
    )
