"""The ways that docs/architecture.md tells hop by hop are those that the imports take."""

import ast
import re
from pathlib import Path

import pytest
from house.test_house import FLOOR, HOME, ZOO, folder_of, target_of, targets

PAGE = Path(__file__).resolve().parents[2] / "docs" / "architecture.md"
MOST_HOPS = 12
ADVICE = "follow the source and mend the table in docs/architecture.md"


def ways():
    """title -> the rows of its table: (hop, from, to, function, how)."""
    found = {}
    for part in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        rows = re.findall(r"^\| (\d+) \| (\S+) \| (\S+) \| (\S+) \| ([^|]+) \|", part, re.MULTILINE)
        if rows:
            found[part.splitlines()[0]] = rows
    return found


WAYS = ways()
HOPS = [(title, *row) for title, rows in WAYS.items() for row in rows]


def defined_in(file):
    """The names that a file defines, and those that it hands on from elsewhere."""
    names = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        if isinstance(node, ast.ImportFrom):
            names |= {alias.asname for alias in node.names if alias.asname}
    return names


def test_both_ways_are_told():
    assert [title.split()[1] for title in WAYS] == ["a", "a"] and len(WAYS) == 2
    for title, rows in WAYS.items():
        assert 6 <= len(rows) <= MOST_HOPS, title
        assert [int(row[0]) for row in rows] == list(range(1, len(rows) + 1)), title


@pytest.mark.parametrize("title", WAYS)
def test_a_hop_begins_where_the_way_has_been(title):
    reached = {"cli.commands"}
    for hop, origin, target, _, _ in WAYS[title]:
        assert origin in reached, f"hop {hop}: nothing before it leads to {origin}; {ADVICE}"
        reached.add(target)


@pytest.mark.parametrize(("title", "hop", "origin", "target", "function", "how"), HOPS)
def test_a_hop_is_taken(title, hop, origin, target, function, how):
    """The first module imports the second, or is handed its function; downward; and the function is
    there.
    """
    where = f"{title}, hop {hop}"
    for name in (origin, target):
        assert HOME.joinpath(*name.split(".")).with_suffix(".py").is_file(), (
            f"{where}: no module {name}; {ADVICE}"
        )
    here, there = target_of(origin), target_of(target)
    assert function in defined_in(there), f"{where}: {target} defines no {function}; {ADVICE}"
    if how == "imports":
        assert there in targets(here), f"{where}: {origin} does not import {target}; {ADVICE}"
        below = FLOOR[folder_of(there)] < FLOOR[folder_of(here)]
        assert below or folder_of(there) == folder_of(here), (
            f"{where}: {target} lies above {origin}"
        )
        return
    giver = how.removeprefix("handed by ")
    assert giver != how, f"{where}: {how!r} is neither 'imports' nor 'handed by MODULE'"
    assert there not in targets(here), (
        f"{where}: {origin} imports {target}, so it is not handed; {ADVICE}"
    )
    by_name = giver == "registry" and target.split(".")[0] in ZOO
    assert by_name or there in targets(target_of(giver)), (
        f"{where}: {giver} does not import {target}; {ADVICE}"
    )


def test_every_room_and_floor_is_told():
    """What the generator writes between the marks names each folder of the package."""
    text = PAGE.read_text(encoding="utf-8")
    for folder in {file.parent for file in HOME.rglob("__init__.py")} - {HOME}:
        assert f"{folder.relative_to(HOME).as_posix()}/" in text, (
            f"{folder.name}: run: make catalogue"
        )
