"""Docstrings of the pure rooms: what every public function takes and returns (Google style)."""

import ast
from pathlib import Path

import pytest

import expunge

HOME = Path(expunge.__file__).parent
ROOMS = ("losses", "scoring")
# files of scoring that do not hold to it yet; entries may only go
PENDING = frozenset(
    {
        "scoring/bootstrap.py",
        "scoring/per_row.py",
    }
)


def public(file):
    """The public functions of a file."""
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node


def faults(function):
    """What the docstring of a function lacks."""
    doc = ast.get_docstring(function) or ""
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    every += [a for a in (arguments.vararg, arguments.kwarg) if a is not None]
    described = doc.partition("Args:\n")[2].partition("\n\n")[0]
    for argument in every:
        if f"    {argument.arg}: " not in described:
            yield f"Args: {argument.arg}"
    nothing = function.returns is None or ast.unparse(function.returns) == "None"
    if not nothing and "Returns:\n" not in doc:
        yield "Returns:"
    summary = doc.partition("\n")[0]
    if not summary.endswith((".", "?", ":")):
        yield "a first line that is a sentence"


def files():
    """The files of the pure rooms, by room and name."""
    found = {}
    for room in ROOMS:
        for file in sorted((HOME / room).glob("*.py")):
            found[f"{room}/{file.name}"] = file
    return found


@pytest.mark.parametrize("name", sorted(set(files()) - PENDING))
def test_public_functions_say_what_they_take_and_return(name):
    for function in public(files()[name]):
        lacking = list(faults(function))
        assert not lacking, f"{name}: {function.name}: its docstring lacks {lacking}"


def test_what_is_pending_is_still_so():
    done = [
        name for name in sorted(PENDING) if not any(map(list, map(faults, public(files()[name]))))
    ]
    assert not done, f"{done}: take them out of PENDING"
