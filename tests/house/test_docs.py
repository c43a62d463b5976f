"""What the pages name exists: files by link or path, headings, commands, targets of make."""

import re
from pathlib import Path

from typer.main import get_command

from expunge.cli.commands import app

ROOT = Path(__file__).resolve().parents[2]
LONGEST_README = 200
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "results").glob("*.md")]
)
BY_HAND = [
    p for p in PAGES if p.parent == ROOT / "docs" or p.name in ("README.md", "CONTRIBUTING.md")
]
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"```.*?```", re.DOTALL)


def anchors(page):
    """The names that headings of a page can be linked by."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= LONGEST_README


def test_links_lead_somewhere():
    wrong = []
    for page in PAGES:
        for link in LINK.findall(page.read_text(encoding="utf-8")):
            if "://" in link:
                continue
            path, _, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            if not target.exists() or (anchor and anchor not in anchors(target)):
                wrong.append(f"{page.relative_to(ROOT)}: {link}")
    assert not wrong, wrong


def test_every_page_is_reached_from_the_readme():
    """Links from page to page lead from README.md to each page of docs/."""
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached:
            continue
        reached.add(page)
        for link in LINK.findall(page.read_text(encoding="utf-8")):
            target = (page.parent / link.partition("#")[0]).resolve()
            if target.suffix == ".md" and target.is_file():
                waiting.append(target)
    lost = [
        p.relative_to(ROOT).as_posix()
        for p in PAGES
        if p.parent.name != "results" and p not in reached
    ]
    assert not lost, lost


def test_paths_that_are_named_exist():
    """A path in backticks that begins in the repository; but for what a page on adding a member
    shows as new.
    """
    wrong = []
    for page in BY_HAND:
        text = page.read_text(encoding="utf-8")
        new = (
            set(re.findall(r"^`([\w./]+)`[:,]", text, re.MULTILINE))
            if page.stem.startswith("add_a")
            else set()
        )
        for path in re.findall(
            r"`((?:src|tests|docs|scripts|results|benchmarks|perf)/[\w./]+)`", text
        ):
            if path not in new and not (ROOT / path).exists():
                wrong.append(f"{page.relative_to(ROOT)}: {path}")
    assert not wrong, wrong


def test_commands_that_are_named_exist():
    verbs = set(get_command(app).commands)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    wrong = []
    for page in BY_HAND:
        text = page.read_text(encoding="utf-8")
        for verb in re.findall(r"(?:^|`)expunge ([a-z]+)", text, re.MULTILINE):
            if verb not in verbs:
                wrong.append(f"{page.name}: expunge {verb}")
        for target in re.findall(r"(?:^|`)make ([a-z]+)", text, re.MULTILINE):
            if target not in targets:
                wrong.append(f"{page.name}: make {target}")
    assert not wrong, wrong
