"""The pages that say how a member is added, followed to the letter in a copy of the package."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# a family is hundreds of lines, so that its page shows none of them whole
UNFOLLOWED = ("add_a_family.md",)
PAGES = [p for p in sorted((ROOT / "docs").glob("add_a*.md")) if p.name not in UNFOLLOWED]
BLOCK = re.compile(
    r"^`([\w/]+\.(?:py|yaml))`[:,](.*?)```(?:python|yaml)\n(.*?)```", re.MULTILINE | re.DOTALL
)
OWED = (
    "tests/conformance",
    "tests/attacks/test_every_attack.py",
)


def blocks(page):
    """(path, text) of the files that a page shows whole: a path in backticks, then the next block
    of code.
    """
    return [(path, code) for path, _, code in BLOCK.findall(page.read_text(encoding="utf-8"))]


def put(path, code):
    """A file as a page shows it; an entry of a YAML file goes to its place in the alphabet."""
    if path.suffix != ".yaml":
        path.write_text(code, encoding="utf-8")
        return
    head, *entries = re.split(r"^(?=\w)", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    path.write_text(head + "".join(sorted([*entries, code])), encoding="utf-8")


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """A copy of package and tests with everything that the pages add; and the names of what they
    add.
    """
    home = tmp_path_factory.mktemp("repository")
    for part in ("src", "tests"):
        shutil.copytree(
            ROOT / part, home / part, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
        )
    shutil.copy(ROOT / "pyproject.toml", home)
    written = []
    for page in PAGES:
        for path, code in blocks(page):
            put(home / path, code)
            written.append(path)
    return home, written


def test_every_page_shows_a_member_and_its_test():
    for page in PAGES:
        paths = [path for path, _ in blocks(page)]
        assert any(path.startswith("src/expunge/") for path in paths), page.name
        assert any(path.startswith("tests/") for path in paths), page.name


@pytest.mark.slow
def test_what_the_pages_add_passes_its_tests_and_those_that_it_owes(followed):
    home, written = followed
    own = [path for path in written if path.startswith("tests/") and path.endswith(".py")]
    names = [Path(path).stem for path in written if path.startswith("src/")]
    environment = {**os.environ, "PYTHONPATH": str(home / "src")}
    words = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-k",
        " or ".join(names),
        *own,
        *OWED,
    ]
    done = subprocess.run(words, cwd=home, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert "skipped" not in done.stdout.splitlines()[-1]
