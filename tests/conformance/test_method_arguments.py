"""What an argument of a method is for: another value makes another method, and a number given
stands in what is made.
"""

from ast import literal_eval
from inspect import signature

import pytest

from expunge import registry
from expunge.core.sameness import plain
from expunge.core.stages import stages

# arguments that only count beside another: that other, as it must be
BESIDE = {
    ("grad_ascent", "ma"): {"stop": "memorization"},
    ("grad_ascent", "el"): {"stop": "memorization"},
    ("grad_ascent", "el_tokens"): {"stop": "memorization"},
    ("gru", "beta"): {"objective": "npo"},
    ("idk_dpo", "alternates_per_row"): {"winner": "swapped"},
    ("knowledge_isolation", "traced_rows"): {"traced_layers": 2},
    ("soul", "beta"): {"objective": "npo"},
}
TEXTS = {"pattern": ["other words"], "opening": ["("], "closing": [")"], "layers": [("1",)]}


def cases():
    return [
        (name, a.name)
        for name in registry.names("methods")
        for a in registry.member("methods", name).arguments
    ]


def beside(name, argument):
    """What else must be given; a term that is kept by default with weight 0 needs a weight."""
    if argument == "retain_term" and any(
        a.name == "retain_weight" for a in registry.member("methods", name).arguments
    ):
        return {"retain_weight": 1.0}
    return BESIDE.get((name, argument), {})


def others(argument):
    """Values that are not the default: every other word, the other truth, a number that stands
    nowhere else.
    """
    if argument.annotation == "Term":
        return ["jsd" if "jsd" not in argument.default else "kl"]
    default = literal_eval(argument.default)
    if argument.annotation.startswith("Literal["):
        return [word for word in literal_eval(f"({argument.annotation[8:-1]},)") if word != default]
    if isinstance(default, bool):
        return [not default]
    if isinstance(default, int):
        return [default + 21]
    if isinstance(default, float):
        return [-0.71875 if argument.range and argument.range.high <= 0 else 0.71875]
    return TEXTS[argument.name]


def leaves(x):
    """What stands at the ends of nested tuples."""
    return (
        [leaf for part in x for leaf in leaves(part)]
        if isinstance(x, (tuple, list, frozenset, set))
        else [x]
    )


def made(name, given):
    return plain(stages(registry.resolve("methods", name, given)))


@pytest.mark.parametrize("name,argument", cases(), ids=lambda part: part)
def test_another_value_makes_another_method(name, argument):
    found = next(a for a in registry.member("methods", name).arguments if a.name == argument)
    rest = beside(name, argument)
    usual = made(name, rest)
    for value in others(found):
        changed = made(name, rest | {argument: value})
        assert changed != usual, value
        if found.annotation in ("int", "float"):
            assert any(
                isinstance(leaf, (int, float)) and abs(leaf) == abs(value)
                for leaf in leaves(changed)
            ), value


KEPT = [name for name, argument in cases() if argument == "retain_term"]


@pytest.mark.parametrize("name", KEPT)
def test_what_is_kept_is_the_retain_rows(name):
    """Also where the usual weight is 0, so that no stage shows it."""
    factory = getattr(registry.load("methods", name), name)
    assert signature(factory).parameters["retain_term"].default.streams == ("retain",)
