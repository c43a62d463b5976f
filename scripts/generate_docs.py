"""Write the pages of docs/ that follow from the source: a page for each member, a table for each
room, the papers.

Everything is read from cards, signatures and docstrings (``expunge.cli.listing``); no member is
imported, except a benchmark with published numbers. ``python scripts/generate_docs.py --write`` or
``--check``; ``make catalogue`` writes.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from expunge import registry
from expunge.cli.listing import arguments_of, as_rows, better, page, root
from expunge.core.errors import Refused
from expunge.registry import first_paragraph

NOTE = (
    "<!-- written by `make catalogue` from the member's card and signature; edit that, not this -->"
)
ROOM_NOTE = "<!-- written by `make catalogue` (scripts/generate_docs.py); edit that, not this -->"
FACES = {
    "__init__.py": "the lazy face: load, train, unlearn, evaluate and the rest, imported when they "
    "are used",
    "__main__.py": "``python -m expunge``",
}
EVIDENCE = """*Evidence* says why to believe an implementation: a number made outside this
repository is matched (*reference value*), theory promises it and a test asserts it (*theorem*), it
equals a value worked out on paper (*oracle by hand*), or some constants are open
(*reconstructed*)."""
INTRODUCTIONS = {
    "methods": f"""A method changes a model's weights: `expunge unlearn NAME`. {EVIDENCE}
*Effect* is what it did to the built-in case, mean over three seeds
([results](../results/bench.md)).""",
    "guards": f"A guard changes what a model says and leaves its weights alone. {EVIDENCE}",
    "attacks": f"""An attack tries to bring back what was forgotten, on the unlearned model and
on a model that never knew. {EVIDENCE}""",
    "metrics": f"""A metric turns what was observed of a model into one number:
`expunge eval --metrics NAME`. {EVIDENCE} *Better* says where the value should lie; near gold: where
it lies for a model that was trained without the forget rows.""",
    "benchmarks": f"""A benchmark brings the rows, the metrics that judge them and the numbers that
others published: `--benchmark NAME:SPLIT`. {EVIDENCE} *Loader only*: its real rows were never seen
here.""",
}


def table(room: str, where: Path) -> str:
    """The Markdown table of a room, with links that hold inside docs/.

    Args:
        room: A room of the registry, such as ``methods``.
        where: The repository, whose results/bench.json tells the effects of methods.
    """
    last = {"methods": "effect on the built-in case", "metrics": "better"}.get(room, "")
    says = "what it says" if room == "metrics" else "what it does"
    head = [registry.SINGULAR[room], says, "paper", "evidence", *([last] if last else [])]
    lines = [_line(head), _line(["---"] * len(head))]
    for row in as_rows(room, where):
        name = row["name"]
        paper = f"[{row['paper']}]({row['url']})" if row["url"] else row["paper"]
        cells = [f"[{name}]({room}/{name}.md)", row["summary"], paper, row["evidence"]]
        if room == "methods":
            cells.append(row["effect"] or "not measured")
        if room == "metrics":
            cells.append(better(registry.member(room, name).card))
        lines.append(_line(cells))
        for alias, args in row["published_as"].items():
            empty = [""] * (len(head) - 2)
            lines.append(_line([f"· {alias}", f"{name} with {arguments_of(args)}", *empty]))
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def room_page(room: str, where: Path) -> str:
    """docs/ROOM.md: what the room is for, and its table."""
    introduction = INTRODUCTIONS.get(room, EVIDENCE)
    title = room.replace("_", " ").capitalize()
    return f"{ROOM_NOTE}\n# {title}\n\n{introduction}\n\n{table(room, where)}\n"


def papers(where: Path) -> str:
    """docs/papers.md: which members stand on which paper."""
    members: dict[tuple[str, str], list[str]] = {}
    for room in registry.ROOMS:
        for row in as_rows(room, where):
            if row["url"]:
                link = f"[{row['name']}]({room}/{row['name']}.md)"
                members.setdefault((row["paper"], row["url"]), []).append(link)
    lines = []
    for (paper, url), links in sorted(members.items()):
        lines.append(f"- [{paper}]({url}): {', '.join(links)}")
    return "\n".join([ROOM_NOTE, "# Papers", "", *lines]) + "\n"


def index() -> str:
    """The list of rooms for docs/index.md; a room without members is left out."""
    lines = []
    for room in registry.ROOMS:
        if registry.names(room):
            lines.append(f"- [{room}]({room}.md)")
    lines.append("- [papers](papers.md)")
    return "\n".join(lines)


def tree(package: Path) -> str:
    """The folders and loose files of the package, each with the first line of its docstring."""
    lines = ["src/expunge/"]
    loose = sorted(package.glob("*.py"))
    folders = sorted(file.parent for file in package.glob("*/__init__.py"))
    for path in [*loose, *folders]:
        lines.append(_told(path, package))
        inner = sorted(file.parent for file in path.rglob("*/__init__.py")) if path.is_dir() else []
        lines += [_told(folder, package) for folder in inner]
    return "\n".join(["```", *lines, "```"])


def _told(path: Path, package: Path) -> str:
    source = path / "__init__.py" if path.is_dir() else path
    name = path.relative_to(package).as_posix() + ("/" if path.is_dir() else "")
    doc = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or ""
    says = FACES.get(name) or first_paragraph(doc)
    return f"  {name:<30} {says}".rstrip()


def floors(where: Path) -> str:
    """The floors of tests/house/test_house.py, the highest first."""
    source = (where / "tests" / "house" / "test_house.py").read_text(encoding="utf-8")
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "FLOORS":
            lowest_first = ast.literal_eval(node.value)
            lines = []
            for number, folders in reversed(list(enumerate(lowest_first))):
                lines.append(f"{number:>2}  {', '.join(folders)}")
            return "\n".join(["```", *lines, "```"])
    raise Refused("tests/house/test_house.py: no FLOORS")


def text_of(page: Path) -> str:
    """The text of a page that is written by hand, but for what stands between its marks.

    Raises:
        Refused: It is not there.
    """
    if not page.is_file():
        raise Refused(
            f"{page}: no such file; pages are written in the repository, not in an installed "
            f"package"
        )
    return page.read_text(encoding="utf-8")


def filled(text: str, mark: str, content: str) -> str:
    """A page's text with what stands between ``<!-- mark -->`` and ``<!-- /mark -->`` replaced.

    Raises:
        Refused: It has no such marks.
    """
    marked = re.compile(rf"<!-- {mark} -->\n.*?<!-- /{mark} -->", re.DOTALL)
    if not marked.search(text):
        raise Refused(
            f"a page lacks <!-- {mark} --> and <!-- /{mark} -->; what is generated stands there"
        )
    return marked.sub(lambda _: f"<!-- {mark} -->\n{content}\n<!-- /{mark} -->", text)


def generated(where: Path) -> dict[Path, str]:
    """Every file that the source decides, with its text.

    Args:
        where: The repository.

    Raises:
        Refused: A page has no marks, or there is no docs/index.md.
    """
    docs = where / "docs"
    contents, house = docs / "index.md", docs / "architecture.md"
    files = {docs / "papers.md": papers(where)}
    files[contents] = filled(text_of(contents), "catalogue", index())
    if house.is_file():
        with_tree = filled(text_of(house), "tree", tree(registry.HERE))
        files[house] = filled(with_tree, "floors", floors(where))
    for room in registry.ROOMS:
        names = registry.names(room)
        if names:
            files[docs / f"{room}.md"] = room_page(room, where)
        for name in names:
            files[docs / room / f"{name}.md"] = f"{NOTE}\n{page(room, name, where)}"
    return files


def stale(where: Path) -> list[Path]:
    """Files that are missing, differ from what the source says, or describe a member or room that
    is gone.
    """
    wanted = generated(where)
    out_of_date = set()
    for file, text in wanted.items():
        if not file.is_file() or file.read_text(encoding="utf-8") != text:
            out_of_date.add(file)
    for room in registry.ROOMS:
        there = [*(where / "docs" / room).glob("*.md"), where / "docs" / f"{room}.md"]
        out_of_date |= {file for file in there if file.is_file() and file not in wanted}
    return sorted(out_of_date)


def write(where: Path) -> list[Path]:
    """Bring every stale file up to date and remove pages of members that are gone.

    Returns:
        The files that were written or removed.
    """
    wanted = generated(where)
    changed = stale(where)
    for file in changed:
        if file in wanted:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(wanted[file], encoding="utf-8")
        else:
            file.unlink()
    return changed


def main(words: Sequence[str]) -> int:
    """Run the script.

    Args:
        words: ``--write`` brings docs/ up to date; ``--check`` says what is out of date.

    Returns:
        The exit code: 1 if something is out of date or cannot be written, 2 for other words.
    """
    if list(words) not in (["--write"], ["--check"]):
        print("python scripts/generate_docs.py --write | --check", file=sys.stderr)
        return 2
    writing = words[0] == "--write"
    try:
        changed = write(root()) if writing else stale(root())
    except Refused as error:
        print(error, file=sys.stderr)
        return 1
    names = ", ".join(str(file.relative_to(root())) for file in changed)
    if writing:
        print(f"written: {names or 'nothing, all was fresh'}")
    elif names:
        print(f"out of date: {names}; run: make catalogue", file=sys.stderr)
    return 1 if names and not writing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
