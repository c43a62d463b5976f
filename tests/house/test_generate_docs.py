"""Pages that follow from the source are never stale, and a page of what is gone goes, too."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from expunge.core.errors import Refused

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "generate_docs.py"
INDEX = "before\n<!-- catalogue -->\n<!-- /catalogue -->\nafter\n"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("generate_docs", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def repository(rooms):
    """A repository of two methods whose docs/ holds the index alone."""
    where = rooms("soften", "harden")
    (where / "docs").mkdir()
    (where / "docs" / "index.md").write_text(INDEX)
    return where


def test_docs_are_fresh():
    done = subprocess.run([sys.executable, str(SCRIPT), "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_pages_are_written_once(script, repository, capsys):
    assert script.main(["--check"]) == 1
    assert capsys.readouterr().err.strip().endswith("run: make catalogue")
    assert script.main(["--write"]) == 0
    assert script.main(["--check"]) == 0
    docs = repository / "docs"
    index = (docs / "index.md").read_text()
    assert index.startswith("before\n") and index.endswith("\nafter\n")
    assert "[methods](methods.md)" in index and "guards" not in index
    table = (docs / "methods.md").read_text()
    assert "[soften](methods/soften.md)" in table and "· soften_mild" in table
    assert "(methods/soften.md)" in (docs / "papers.md").read_text()
    assert "Source: the paper: lr 1e-5" in (docs / "methods" / "soften.md").read_text()


def test_what_is_stale_is_named_and_mended(script, repository):
    script.write(repository)
    soften = repository / "docs" / "methods" / "soften.md"
    soften.write_text("by hand")
    assert script.stale(repository) == [soften]
    assert script.write(repository) == [soften] and script.stale(repository) == []


def test_the_page_of_a_member_that_is_gone_is_removed(script, repository):
    script.write(repository)
    (repository / "src" / "expunge" / "methods" / "harden.py").unlink()
    docs = repository / "docs"
    gone = docs / "methods" / "harden.md"
    assert script.stale(repository) == [gone, docs / "methods.md", docs / "papers.md"]
    script.write(repository)
    assert not gone.exists() and "harden" not in (docs / "methods.md").read_text()
    assert script.stale(repository) == []


def test_the_page_of_an_empty_room_is_removed(script, repository):
    script.write(repository)
    for name in ("harden", "soften"):
        (repository / "src" / "expunge" / "methods" / f"{name}.py").unlink()
    script.write(repository)
    assert not (repository / "docs" / "methods.md").exists()
    assert "methods.md" not in (repository / "docs" / "index.md").read_text()


def test_an_index_without_marks_is_refused(script, repository):
    (repository / "docs" / "index.md").write_text("nothing\n")
    with pytest.raises(Refused, match="<!-- catalogue -->"):
        script.stale(repository)


def test_without_an_index_one_line_says_so(script, rooms, capsys):
    rooms("soften")
    assert script.main(["--check"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_words_that_mean_nothing_here(script, capsys):
    assert script.main(["--help"]) == 2
    assert "--write | --check" in capsys.readouterr().err
