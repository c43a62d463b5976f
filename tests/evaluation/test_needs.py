"""The needs of cards: every word is a pass, a variant or a reference that exists; observations
declare themselves in one file each.
"""

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import ClassVar

import pytest
from asking import asks
from evaluation.observations.test_hidden_states import ROWS, made

from expunge import registry
from expunge.core.card import Card
from expunge.core.errors import Refused
from expunge.core.needs import NEEDS
from expunge.evaluation import needs
from expunge.evaluation.needs import check_needs, observations, recorded, want_of
from expunge.evaluation.observations.base import Field, Observation, Want
from expunge.evaluation.observations.generation import Generation
from expunge.evaluation.observations.gradient_norm import GradientNorm
from expunge.evaluation.observations.hidden_states import HiddenStates
from expunge.evaluation.observations.multiple_choice import MultipleChoice
from expunge.evaluation.observations.teacher_forced import TeacherForced
from expunge.evaluation.observe import measure
from expunge.models.base import LANGUAGE_MODEL

SHARED = ("teacher_forced", "generation", "multiple_choice")  # made for every metric
METRICS = registry.names("metrics")


def card_of(*words):
    return Card(paper="", url="", needs=words)


@pytest.mark.parametrize("name", METRICS)
def test_every_need_of_every_card_is_known_and_said_in_words(name):
    words = {**NEEDS, **registry.observation_titles()}
    card = registry.load("metrics", name).card
    check_needs(name, card)
    assert all(words.get(need) for need in card.needs)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("gradient_norms", "gradient_norm"), ("teacher_force", "teacher_forced"), ("goldd", "gold")],
)
def test_a_misspelt_need_is_refused_with_the_nearest_name(wrong, right):
    with pytest.raises(
        Refused, match=f"metric mine: needs takes no '{wrong}'; did you mean {right}"
    ):
        check_needs("mine", card_of("teacher_forced", wrong))


def test_titles_are_read_from_the_sources_and_are_those_of_the_classes():
    assert registry.observation_titles() == {
        name: cls.title for name, cls in observations().items()
    }


def test_every_observation_is_declared_whole():
    for name, cls in observations().items():
        assert cls.title and cls.__doc__, name
        shared = name in SHARED
        assert bool(cls.unit) != shared, f"{name}: a unit, or a field of Cost"
        assert cls.fields or cls.variants or shared, f"{name} records nothing"
        assert cls.needs <= LANGUAGE_MODEL, name
        assert cls() == cls(), name  # made without arguments, compared by its options
        assert cls.run is not Observation.run or cls.rows is not Observation.rows, name


def test_the_arguments_of_a_metric_are_the_options_of_its_observation():
    assert want_of(card_of("gradient_norm"), {"eos": True, "norm": "2"}).observations == (
        GradientNorm(eos=True),
        TeacherForced(),
    )
    assert want_of(card_of("hidden_states"), {"layers": [0.5, 1.0]}).observations == (
        HiddenStates((0.5, 1.0)),
        TeacherForced(),
    )


def test_words_of_cards_are_observations_and_their_options():
    assert want_of(card_of("option_texts")) == Want((MultipleChoice(letters=False),))
    assert want_of(card_of("option_texts", "multiple_choice")) == Want((MultipleChoice(),))
    assert want_of(card_of("generation")) == Want((Generation(), TeacherForced()))
    scored = TeacherForced(("answer", "paraphrase", "perturbed/"), moments=True)
    assert want_of(card_of("perturbed", "teacher_forced", "moments", "paraphrase")) == Want(
        (scored,)
    )


def test_two_fields_of_one_name_and_a_wrong_file_are_found(monkeypatch):
    @dataclass(frozen=True)
    class Twice(Observation):
        name: ClassVar = "few_shot_prefix"
        fields: ClassVar = {"grad_norm": Field()}

    real = needs.import_module

    def with_it_in(file):
        def module(name):
            return (
                SimpleNamespace(__name__=name, Twice=Twice) if name.endswith(file) else real(name)
            )

        monkeypatch.setattr(Twice, "__module__", f"expunge.evaluation.observations.{file}")
        monkeypatch.setattr(needs, "import_module", module)

    with_it_in("few_shot_prefix")
    with pytest.raises(ValueError, match="both record the field grad_norm"):
        observations.__wrapped__()
    with_it_in("base")
    with pytest.raises(ValueError, match="named after its observation"):
        observations.__wrapped__()


def test_what_the_model_cannot_do_is_refused_before_it_is_asked():
    subject = replace(made(0), capabilities=frozenset({"score", "generate"}), source="remote")
    with pytest.raises(
        Refused, match="gradient_norm needs a model with gradient, which remote lacks"
    ):
        measure(subject, {"forget": ROWS}, {"forget": asks(observations=(GradientNorm(),))})


def test_every_recorded_field_has_one_owner():
    assert len(recorded()) == sum(len(cls.fields) for cls in observations().values())
