"""The faults that the mutation run plants: each kind on a few lines whose faults can be listed by
hand.
"""

import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from sys import modules

import pytest

PLACE = Path(__file__).resolve().parents[1] / "benchmarks" / "_mutants.py"


@pytest.fixture(scope="module")
def faults():
    spec = spec_from_file_location("_mutants", PLACE)
    made = modules["_mutants"] = module_from_spec(spec)
    spec.loader.exec_module(made)
    return lambda source: [(m.kind, m.line, m.applied(source)) for m in made.mutants(source)]


def becomes(found):
    return [text for _, _, text in found]


@pytest.mark.parametrize(
    "source,expected",
    [
        ("a = b - c\n", ["a = b + c\n"]),
        ("a = b <= c\n", ["a = b < c\n", "a = b > c\n"]),
        ("a = 2\n", ["a = 3\n"]),
        ("a = 0.5\n", ["a = 1.0\n"]),
        ("a = -b\n", ["a = (b)\n"]),
        ("a = b if c else d\n", ["a = (d if c else b)\n"]),
        ('a = nll(stream="forget")\n', ["a = nll()\n", 'a = nll(stream="retain")\n']),
        ('a = {"optimizer": "sophia"}\n', ['a = {"optimizer": "adamw"}\n']),
        ("a = x.detach()\n", ["a = x\n"]),
        ("a = x.mean(d)\n", ["a = x.sum(d)\n"]),
        ("a = fn(layer=layer)\n", ["a = fn()\n", "a = fn(layer=layer + 1)\n"]),
        ("a = (b, *c)\n", ["a = (*c,)\n", "a = (b,)\n"]),
        ("if a and b:\n    pass\n", ["if not (a and b):\n    pass\n", "if a or b:\n    pass\n"]),
    ],
)
def test_a_fault_is_one_change_of_the_text(faults, source, expected):
    assert sorted(becomes(faults(source))) == sorted(expected)


def test_a_default_of_a_choice_becomes_another_choice_and_a_result_its_negative(faults):
    source = 'def f(kind: Literal["a", "b"] = "a") -> Tensor:\n    return g(kind)\n'
    assert becomes(faults(source)) == [
        source.replace('= "a"', '= "b"'),
        source.replace("g(kind)", "-(g(kind))"),
    ]


def test_texts_that_nothing_runs_on_are_left_alone(faults):
    source = (
        '"""Doc 1 - 2."""\nfrom a import b\ncard = Card(n=1, s={"x": 2})\nassert a < '
        '1\n\n\n@deco(1)\ndef f(x: A | B):\n    """Doc."""\n'
    )
    assert faults(source) == []


def test_a_line_number_is_that_of_the_source_also_behind_other_letters(faults):
    assert faults('a = "ß"\n\nb = c("ß") + d\n') == [("operator", 3, 'a = "ß"\n\nb = c("ß") - d\n')]


def test_the_run_begins_without_expunge():
    """Faults are planted in a copy of the sources; whoever imported expunge before it is there
    would try the wrong code.
    """
    code = (
        "import sys, mutation\nprint([name for name in sys.modules if name.split('.')[0] == "
        "'expunge'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PLACE.parent, capture_output=True, text=True
    )
    assert done.stdout == "[]\n", done.stderr
