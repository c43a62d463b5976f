"""What papers and their authors' files give by default, method by method: arguments, and the stages
that they make.

``presets.yaml`` gives for every value of every preset the file and line of the authors that says
it, or says that there is none. ``published.yaml`` tells for every method where its defaults stand,
the arguments that are taken unless others are given, and what is then trained on what. A line that
changes there changes what a method is: say in the commit which file of the authors it now follows.
"""

import re
from ast import literal_eval
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from expunge import registry
from expunge.cli.listing import comments
from expunge.core.stages import Controller, Descent, Edit, Prepare, Retrain, Stage, Term, stages

PRESETS = yaml.safe_load((Path(__file__).parent / "presets.yaml").read_text())
PUBLISHED = yaml.safe_load((Path(__file__).parent / "published.yaml").read_text())


def defaults(name: str) -> dict[str, Any]:
    """A method's own arguments but terms, which stand among its stages."""
    found = {
        a.name: literal_eval(a.default)
        for a in registry.member("methods", name).arguments
        if a.annotation != "Term"
    }
    return {key: list(value) if isinstance(value, tuple) else value for key, value in found.items()}


def called(fn: Any) -> str:
    """A function or a partial of one, with its settings."""
    if not isinstance(fn, partial):
        return getattr(fn, "__name__", str(fn))
    settings = [f"{k}={called(v) if callable(v) else v}" for k, v in sorted(fn.keywords.items())]
    return f"{fn.func.__name__}({', '.join(settings)})"


def term_of(t: Term) -> dict[str, Any]:
    made = {
        "term": f"{t.coef:g} x {t.name}",
        "of": " + ".join(t.streams),
        "is": called(t.fn),
        "mean": t.reduction,
        "span": t.span,
    }
    needs = sorted(t.needs)
    teacher = t.provider
    more = {
        "needs": needs,
        "teacher": " + ".join(teacher.sources) if teacher else "",
        "edit": called(teacher.edit or teacher.dense)
        if teacher and (teacher.edit or teacher.dense)
        else "",
        "group": t.group,
    }
    return made | {key: value for key, value in more.items() if value}


def control(c: Controller) -> dict[str, Any]:
    parts = {"factors": c.factors, "after": c.after, "watch": c.watch, "stop": c.stop}
    return {"first": dict(c.first), "every": c.every} | {
        name: called(fn) for name, fn in parts.items() if fn
    }


def described(stage: Stage) -> dict[str, Any]:
    """A stage as plain data."""
    if isinstance(stage, Prepare):
        return {
            "prepare": f"{stage.stream} from {' + '.join(stage.reads)}, {stage.on}",
            "by": called(stage.fn),
        }
    if isinstance(stage, Edit):
        said = {
            "edit": stage.name,
            "of": sorted(stage.needs),
            "reads": list(stage.streams),
            "select": stage.select,
        }
        return {key: value for key, value in said.items() if value} | {"by": called(stage.fn)}
    if isinstance(stage, Retrain):
        said = {
            "retrain": stage.name,
            "terms": [term_of(t) for t in stage.terms],
            "keeps": list(stage.keeps),
            "removes": stage.removes,
            "aggregate": stage.aggregate,
        }
        return {key: value for key, value in said.items() if value}
    assert isinstance(stage, Descent)
    adapter = stage.adapter
    said = {
        "descent": stage.name,
        "terms": [term_of(t) for t in stage.terms],
        "anchor": stage.anchor if stage.anchor != "forget" else None,
        "select": stage.select,
        "training": {k: list(v) if isinstance(v, tuple) else v for k, v in stage.training.items()},
        "into": stage.into,
        "combine": called(stage.combine) if stage.combine else None,
        "controller": control(stage.controller) if stage.controller else None,
        "locate": called(stage.locate) if stage.locate else None,
        "adapter": f"rank {adapter.rank}, alpha {adapter.alpha:g}, {adapter.targets or 'all'}, "
        f"{adapter.init}"
        if adapter
        else None,
    }
    return {key: value for key, value in said.items() if value}


def test_every_method_is_told():
    assert list(PUBLISHED) == registry.names("methods")
    assert all(entry["source"] for entry in PUBLISHED.values())


@pytest.mark.parametrize("name", registry.names("methods"))
def test_defaults_are_the_published_ones(name):
    assert defaults(name) == PUBLISHED[name]["defaults"], PUBLISHED[name]["source"]


@pytest.mark.parametrize("name", registry.names("methods"))
def test_stages_read_and_train_what_they_should(name):
    assert [described(s) for s in stages(registry.resolve("methods", name))] == PUBLISHED[name][
        "stages"
    ], PUBLISHED[name]["source"]


# ------------------------------------------------------------------ presets


def presets(name: str) -> dict[str, dict[str, Any]]:
    """A method's presets but those of the built-in case, which are ours."""
    settings = registry.member("methods", name).card.get("settings", {})
    return {key: dict(value) for key, value in settings.items() if not key.endswith("builtin")}


WITH_PRESETS = [name for name in registry.names("methods") if presets(name)]


def test_every_method_with_a_preset_is_cited():
    assert list(PRESETS["methods"]) == WITH_PRESETS


@pytest.mark.parametrize("name", WITH_PRESETS)
def test_presets_are_what_the_cited_lines_say(name):
    cited = PRESETS["methods"][name]
    told = {
        preset: {key: value for key, (value, _) in values.items()}
        for preset, values in cited.items()
    }
    have = {}
    for preset, values in presets(name).items():
        have[preset] = {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}
    assert have == told


@pytest.mark.parametrize("name", WITH_PRESETS)
def test_every_value_has_a_line_or_the_card_says_that_it_has_none(name):
    said = comments(registry.member("methods", name))
    assert said
    for preset, values in PRESETS["methods"][name].items():
        for key, (_, source) in values.items():
            if source.startswith("reconstructed: "):
                known = re.search(rf"\b{key}\b[^;]* reconstructed", said)
                assert known, f"{name}, {preset}: the card does not say that {key} is reconstructed"
                continue
            for place in source.split("; "):
                found = re.fullmatch(r"(\S+) \S+:\d+(?:,\d+)*", place)
                assert found, f"{name}, {preset}, {key}: {place!r} names no file and line"
                assert found[1] in PRESETS["repositories"], f"{name}, {preset}, {key}: {found[1]}"


def test_every_repository_is_named_with_its_commit():
    for name, place in PRESETS["repositories"].items():
        assert re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{7,40}", place), name
