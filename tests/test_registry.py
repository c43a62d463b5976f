"""Members found by name, made from arguments, and told in pages that are never stale."""

import ast
import json
import math
import os
import re
import subprocess
import sys
from dataclasses import fields
from functools import partial

import pytest

from expunge import registry
from expunge.cli import listing as catalogue_pages
from expunge.cli.method_arguments import argument_rows
from expunge.core.card import Card, call
from expunge.core.errors import Refused
from expunge.core.ranges import annotation_of
from expunge.core.stages import Term
from expunge.pipeline.settings import judge

MEMBERS = [(room, name) for room in registry.ROOMS for name in registry.names(room)]
MADE = [(room, name) for room, name in MEMBERS if room in ("methods", "attacks")]


# ------------------------------------------------------------------ found by name


@pytest.mark.parametrize(("room", "name"), MEMBERS, ids=lambda v: v)
def test_a_member_is_what_its_module_says(room, name):
    """What is read without an import is what the import gives."""
    member, module = registry.member(room, name), registry.load(room, name)
    assert callable(getattr(module, name)) and member.summary == registry.first_paragraph(
        module.__doc__
    )
    assert isinstance(module.card, Card)
    head = registry.brief(room, name)
    assert (head.card, head.summary) == (member.card, member.summary)
    assert {
        f.name: member.card.get(f.name, getattr(module.card, f.name)) for f in fields(Card)
    } == {f.name: getattr(module.card, f.name) for f in fields(Card)}
    code = getattr(module, name).__code__
    assert [a.name for a in member.arguments] == list(
        code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    )


def test_every_argument_of_a_method_is_described():
    for room, name in MADE:
        undescribed = [a.name for a in registry.member(room, name).arguments if not a.doc]
        assert not undescribed, f"{room}/{name}: {undescribed}"


@pytest.mark.parametrize(
    ("room", "asked", "hint"),
    [
        ("methods", "npoo", "no method 'npoo'; did you mean npo?"),
        ("methods", "graddiff", "no method 'graddiff'; did you mean grad_diff?"),
        ("attacks", "quantizer", "no attack 'quantizer'; did you mean quantize?"),
        ("metrics", "probabilty", "no metric 'probabilty'; did you mean probability?"),
        ("benchmarks", "tofuu", "no benchmark 'tofuu'; did you mean tofu?"),
        ("benchmarks", "zzz", "no benchmark 'zzz'; there are: builtin, "),
        ("methods", "../cli", "no method"),
    ],
)
def test_a_near_miss_names_the_nearest(room, asked, hint):
    with pytest.raises(Refused, match="^" + hint.replace("?", r"\?").replace("(", r"\(")):
        registry.member(room, asked)


def test_a_room_that_does_not_exist():
    with pytest.raises(Refused, match=r"no kind 'method'; did you mean methods\?"):
        registry.names("method")


# ------------------------------------------------------------------ made from arguments


def refusal(name, args):
    with pytest.raises(Refused) as caught:
        registry.resolve("methods", name, args)
    return str(caught.value)


def test_an_unknown_argument_names_the_nearest():
    assert (
        refusal("npo", {"betta": 1})
        == "npo has no argument 'betta'; did you mean beta? there are: beta, retain_term, "
        "retain_weight"
    )
    assert "there are: beta, retain_term, retain_weight" in refusal("npo", {"zzz": 1})


@pytest.mark.parametrize("value", ["much", "", None, [1.0], {}, math.nan, "nan", "inf"])
def test_an_argument_of_the_wrong_type(value):
    assert refusal("npo", {"beta": value}).startswith("npo: --beta takes a number, not")


def test_whole_numbers_stay_whole():
    assert refusal("rmu", {"layer": 1.5}) == "rmu: --layer takes a whole number, not 1.5"
    assert refusal("rmu", {"layer": "1.5"}) == "rmu: --layer takes a whole number, not '1.5'"
    assert same(
        registry.resolve("methods", "rmu", {"layer": 2.0}),
        registry.resolve("methods", "rmu", {"layer": "2"}),
    )


@pytest.mark.parametrize(
    ("name", "args", "rule"),
    [
        ("npo", {"beta": 0}, "must be above 0"),
        ("npo", {"beta": -1}, "must be above 0"),
        ("npo", {"retain_weight": -0.5}, "must be at least 0"),
        ("whp", {"reinforce_epochs": 0}, "must be above 0"),
    ],
)
def test_a_number_out_of_range(name, args, rule):
    assert rule in refusal(name, args)


NUMBERS = [
    (room, name, argument)
    for room in ("methods", "attacks", "metrics", "benchmarks")
    for name in registry.names(room)
    for argument in registry.member(room, name).own.values()
    if {"int", "float"} & set(re.findall(r"[a-z]+", argument.annotation))
    and not argument.annotation.startswith("Literal[")
]
# every number has a meaning, or which have is for the model at hand to say (blocks and fractions of
# its depth)
ANY = {
    *(
        ("methods", "simnpo", "delta"),
        ("methods", "sku", "scale"),
        ("methods", "task_arithmetic", "scale"),
    ),
    *(
        ("benchmarks", "builtin", "seed"),
        ("benchmarks", "digits", "seed"),
        ("metrics", "cka", "layers"),
        ("metrics", "linear_probe", "layer"),
    ),
    *(("metrics", "logit_lens", "layers"), ("metrics", "probability_delta", "layers")),
}


def outside(allowed):
    """Numbers just outside a range, its ends among them where they do not belong to it; not a
    number is never inside.
    """
    ends = ((allowed.low, -1, allowed.above), (allowed.high, 1, allowed.below))
    beyond = [end + step for end, step, _ in ends if math.isfinite(end)]
    return beyond + [end for end, _, left_out in ends if left_out]


@pytest.mark.parametrize(("room", "name", "argument"), NUMBERS, ids=lambda v: getattr(v, "name", v))
def test_every_number_has_a_range_and_is_held_to_it(room, name, argument):
    """In a line with the member, the argument and the range; also one of several numbers."""
    allowed = argument.range
    assert (allowed is None) == ((room, name, argument.name) in ANY), (
        f"say what {argument.name} may be: Annotated[float, Gt(0)]"
    )
    if allowed is None:
        return
    numbers = lambda value: [
        x for x in (value if isinstance(value, tuple) else (value,)) if x is not None
    ]
    default = argument.default.replace("2 / 3, 4 / 3", "0.667, 1.333")
    assert all(map(allowed.holds, numbers(ast.literal_eval(default))))
    several = argument.annotation.startswith("tuple")
    for value in map(int if argument.annotation == "int" else float, outside(allowed)):
        with pytest.raises(Refused) as caught:
            registry.checked(room, name, {argument.name: (value,) if several else value})
        assert (
            str(caught.value)
            == f"{name}: --{argument.name} {value} is out of range; it must be {allowed.words}"
        )
    card = registry.member(room, name).card
    settings = [v[argument.name] for v in card.get("settings", {}).values() if argument.name in v]
    settings += [
        v[argument.name] for v in card.get("published_as", {}).values() if argument.name in v
    ]
    assert all(map(allowed.holds, [*settings, *card.get("tune", {}).get(argument.name, ())]))


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        ("Annotated[float, Gt(0)]", "float", "above 0"),
        ("Annotated[int, Ge(0)]", "int", "at least 0"),
        ("Annotated[float, Lt(2)]", "float", "below 2"),
        ("Annotated[float, Le(-0.5)]", "float", "at most -0.5"),
        ("Annotated[float, Interval(ge=0, le=1)]", "float", "from 0 to 1"),
        ("Annotated[float, Interval(gt=0, le=1)]", "float", "above 0 and at most 1"),
        ("Annotated[float, Interval(ge=0, lt=1)] | None", "float | None", "at least 0 and below 1"),
        ("tuple[Annotated[float, Ge(0)], ...]", "tuple[float, ...]", "at least 0"),
    ],
)
def test_a_range_stands_in_the_annotation(said, kind, words):
    annotation, allowed = annotation_of(ast.parse(said, mode="eval").body)
    assert (annotation, allowed.words) == (kind, words)
    assert not any(map(allowed.holds, [*outside(allowed), math.nan]))


@pytest.mark.parametrize(
    "said", ["float", "tuple[str, ...]", "Literal['a', 'b']", "Records | None", "dict[str, int]"]
)
def test_a_type_alone_has_no_range(said):
    assert annotation_of(ast.parse(said, mode="eval").body) == (said, None)


@pytest.mark.parametrize(
    "said",
    [
        "Annotated[float, 'above 0']",
        "Annotated[float, MultipleOf(2)]",
        "Annotated[float, Gt(0), Lt(1)]",
    ],
)
def test_a_constraint_that_nobody_holds_is_an_error(said):
    with pytest.raises(ValueError, match="Interval"):
        annotation_of(ast.parse(said, mode="eval").body)


def test_a_metric_is_held_to_its_arguments():
    """As a benchmark gives them: another name, another kind, a number out of range, a word that is
    no choice.
    """

    def refused(name, **given):
        with pytest.raises(Refused) as caught:
            judge(call(name, **given), None)
        return str(caught.value)

    assert (
        refused("mia_min_k", k=1.5)
        == "mia_min_k: --k 1.5 is out of range; it must be above 0 and at most 1"
    )
    assert (
        refused("privleak", gold_auc=-0.1)
        == "privleak: --gold_auc -0.1 is out of range; it must be from 0 to 1"
    )
    assert refused("bleu", order=2.5) == "bleu: --order takes a whole number, not 2.5"
    assert (
        refused("ngram_entropy", weights=(1.0, -1.0))
        == "ngram_entropy: --weights -1.0 is out of range; it must be at least 0"
    )
    assert (
        refused("knowledge_retention", count="name")
        == "knowledge_retention: --count takes no 'name'; did you mean names? there are: names, "
        "pairs"
    )
    assert (
        refused("mia_min_k", kk=0.2)
        == "mia_min_k has no argument 'kk'; did you mean k? there are: eos, k"
    )
    assert "privleak has no argument 'records'" in refused("privleak", records=())
    assert judge(call("privleak", gold_auc=None), None).arguments == {"gold_auc": None}


def test_a_block_and_a_fraction_of_the_depth_are_told_apart():
    """Layer 1 is the second block and 1.0 the last, however they are given."""
    made = registry.checked("metrics", "cka", {"layers": "1,1.0,-1"})["layers"]
    assert made == (1, 1.0, -1) and [type(x) for x in made] == [int, float, int]
    assert [
        type(registry.checked("metrics", "linear_probe", {"layer": x})["layer"])
        for x in (1, 1.0, "2")
    ] == [int, float, int]


@pytest.mark.parametrize(
    ("room", "name", "told"),
    [
        ("methods", "kga", "- `stop_share`: float, from 0 to 1, default 0.0. "),
        ("metrics", "mia_min_k", "- `k`: float, above 0 and at most 1, default 0.4"),
        ("metrics", "ngram_entropy", "- `weights`: tuple[float, ...], each at least 0, default "),
        ("attacks", "relearn", "- `share`: float, from 0 to 1, default 0.2. "),
        ("benchmarks", "builtin", "- `facts`: int, at least 160, default 240. "),
    ],
)
def test_a_page_and_help_tell_the_range(room, name, told):
    assert told in catalogue_pages.page(room, name)
    if room == "methods":
        assert any("[from 0 to 1; default 0.0]" in text for _, text in argument_rows(name)[1])


def test_a_share_is_between_0_and_1():
    with pytest.raises(Refused, match="from 0 to 1"):
        registry.resolve("attacks", "relearn", {"share": 1.5})


def test_a_word_that_is_none_of_the_choices():
    assert (
        refusal("rmu", {"trained": "al"})
        == "rmu: --trained takes no 'al'; did you mean all? there are: all, down_proj"
    )
    with pytest.raises(Refused, match="there are: 2, 3, 4, 8"):
        registry.resolve("attacks", "quantise", {"bits": 16})
    assert registry.resolve("attacks", "quantise", {"bits": "8"}).name == "quantize"


@pytest.mark.parametrize(
    ("said", "meant"), [("true", True), ("no", False), ("1", True), (False, False)]
)
def test_yes_and_no(said, meant):
    assert same(
        registry.resolve("methods", "idk", {"keep": said}),
        registry.resolve("methods", "idk", {"keep": meant}),
    )


def test_a_term_by_name():
    made = registry.resolve("methods", "npo", {"retain_term": "kl"})
    assert same(made.terms[1], registry.resolve_term("kl"))
    assert (
        refusal("npo", {"retain_term": "kll"})
        == "no term 'kll'; did you mean kl? there are: ascent, cross_entropy, joint_nll, jsd, kl, "
        "nll, reverse_kl"
    )


def plain(value):
    """A stage or a term as something that compares: functions by name and bound arguments."""
    if isinstance(value, partial):
        return (plain(value.func), value.args, value.keywords)
    if isinstance(value, (tuple, list)):
        return tuple(map(plain, value))
    if hasattr(value, "__dataclass_fields__"):
        return (type(value).__name__, *(plain(getattr(value, f.name)) for f in fields(value)))
    return getattr(value, "__qualname__", value)


def same(a, b):
    return plain(a) == plain(b)


@pytest.mark.parametrize(("room", "name"), MADE, ids=lambda v: v)
def test_arguments_survive_json(room, name):
    """Numbers at their defaults and halved, choices at each: the stage from JSON is the stage from
    Python.
    """
    known = registry.member(room, name).arguments
    numbers = {
        a.name: ast.literal_eval(a.default) for a in known if a.annotation in ("int", "float")
    }
    words = {
        a.name: ast.literal_eval(a.annotation[8:-1])
        for a in known
        if a.annotation.startswith("Literal[")
    }
    changed = {k: (v // 2 or v) if isinstance(v, int) else v / 2 for k, v in numbers.items()} | {
        k: v[-1] for k, v in words.items()
    }
    for args in (numbers, changed):
        back = json.loads(json.dumps(call(name, **args).as_json()))
        assert same(
            registry.resolve(room, back["name"], back["args"]), registry.resolve(room, name, args)
        )
    default = registry.resolve(room, name)
    assert same(registry.resolve(room, name, numbers), default)
    assert same(registry.resolve(room, name, changed), default) == (changed == numbers)


def test_a_default_term_is_the_one_that_the_command_line_names():
    assert same(
        registry.resolve("methods", "npo", {"retain_term": "nll"}),
        registry.resolve("methods", "npo"),
    )
    assert isinstance(registry.resolve_term("nll"), Term)


# ------------------------------------------------------------------ published names


def test_a_published_name_is_the_member_with_arguments(rooms, monkeypatch):
    rooms("soften")
    made = {}
    monkeypatch.setattr(
        registry,
        "load",
        lambda room, name: type(
            "Module", (), {"soften": staticmethod(lambda **given: made.update(given) or "stage")}
        ),
    )
    assert registry.entries("methods") == {"soften_mild": "soften"}
    assert registry.member("methods", "soften_mild").name == "soften"
    assert registry.resolve("methods", "soften_mild") == "stage" and made == {"beta": 0.25}
    registry.resolve("methods", "soften_mild", {"beta": 0.5, "kind": "other"})
    assert made == {"beta": 0.5, "kind": "other"}
    with pytest.raises(Refused, match=r"did you mean soften_mild\?"):
        registry.member("methods", "soften_mld")


def test_a_published_name_is_shown_indented_and_not_counted(rooms):
    rooms("soften", "harden")
    listed = catalogue_pages.listing(["methods"]).splitlines()
    assert listed[0] == "methods (2)"
    assert [line.split()[0] for line in listed[1:]] == [
        "harden",
        "harden_mild",
        "soften",
        "soften_mild",
    ]
    assert listed[2].startswith("      harden_mild = harden(beta=0.25)")
    page = catalogue_pages.page("methods", "soften_mild")
    assert (
        page.startswith("soften_mild is soften with beta 0.25.") and "## Also published as" in page
    )


# ------------------------------------------------------------------ told


def test_a_pipe_gets_whole_lines():
    bare = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    words = [sys.executable, "-m", "expunge", "list"]
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=bare)
    assert all(registry.member(room, name).summary in done.stdout for room, name in MEMBERS)


def test_list_as_json():
    done = subprocess.run(
        [sys.executable, "-m", "expunge", "list", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    rows = json.loads(done.stdout)
    assert [(r["room"], r["name"]) for r in rows] == MEMBERS
    keys = {"name", "room", "summary", "paper", "url", "evidence", "effect", "published_as"}
    assert all(set(r) == keys for r in rows)


def test_250_members_are_listed(rooms):
    names = [f"m{i:03d}" for i in range(250)]
    rooms(*names)
    listed = catalogue_pages.listing(registry.ROOMS).splitlines()
    assert listed[0] == "methods (250)" and len(listed) == 1 + 2 * 250
    assert [r["name"] for r in catalogue_pages.as_rows("methods")] == names


def test_an_empty_room_says_so(rooms):
    rooms("soften")
    assert catalogue_pages.listing(["guards"]) == "guards: none yet"


@pytest.mark.parametrize(("room", "name"), MEMBERS, ids=lambda v: v)
def test_a_page_tells_everything(room, name):
    page, member = catalogue_pages.page(room, name), registry.member(room, name)
    told = [
        member.summary,
        member.card["paper"],
        member.card.get("url", ""),
        member.card.get("differs", ""),
        "## Run it",
    ]
    told += [f"`{name}`" for name in member.own]
    assert not [t for t in told if t not in page]


@pytest.mark.parametrize(("room", "name"), MEMBERS, ids=lambda v: v)
def test_published_settings_say_where_they_are_from(room, name):
    member = registry.member(room, name)
    # those for the built-in case were tuned here
    published = [k for k in member.card.get("settings", {}) if not k.endswith("builtin")]
    assert not published or catalogue_pages.comments(member), (
        f"{room}/{name}: settings without their source"
    )


def measured(forget, retain):
    return {"forget/probability": {"mean": forget}, "retain/probability": {"mean": retain}}


EFFECTS = {
    "gold": measured(0.1, 0.951),
    "original": measured(0.98, 0.97),
    "methods": {
        "npo": {"at_settings": measured(0.12, 0.93)},
        "idk": {"at_settings": measured(0.97, 0.998)},
        "rmu": {"at_settings": measured(None, 0.9)},
        "undial": {"n": 0, "errors": ["seed 0: no"]},
    },
}


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("npo", "forget .12, retain .93 (gold .10, .95)"),
        ("idk", "forget .97, retain 1.00 (gold .10, .95): no effect here"),
        ("rmu", "not measured"),
        ("undial", "not measured"),
        ("whp", "not measured"),
    ],
)
def test_effect_in_words(name, told):
    assert catalogue_pages.effect(name, EFFECTS) == told
