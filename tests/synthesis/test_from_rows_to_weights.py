"""Every method whose rows are made first, from rows to changed weights: prepared, encoded and
trained for two steps.
"""

import pytest
import torch

from expunge.api import unlearn
from expunge.core.data import Example
from expunge.core.errors import Refused
from expunge.models.causal_lm import tiny
from expunge.synthesis.chat import Scripted
from expunge.synthesis.tools import Tools

NAMES = ("Ada Byron", "Tamsin Vale", "Mira Okafor", "Leo Marchetti", "Ana Weiss", "Tom Ray")
TOWNS = ("Rome", "London", "Accra", "Milan", "Vienna", "Cork")


def rows(role, names):
    return tuple(
        Example(
            f"{role}/{i}",
            role,
            f"{role}/{i}",
            f"{n} lives in {TOWNS[NAMES.index(n)]}.",
            f"Where does {n} live?",
        )
        for i, n in enumerate(names)
    )


FORGET, RETAIN = rows("forget", NAMES[:3]), rows("retain", NAMES[3:])


@pytest.fixture(scope="module")
def model():
    return tiny.build([t for e in (*FORGET, *RETAIN) for t in (e.prompt, e.answer)], seed=0)


def say(prompt, seed):
    if prompt.startswith("Does the reply"):
        return "no"
    return (
        "Where would one find this person?"
        if prompt.startswith("Ask the question below")
        else f"Nobody can tell, {seed % 9}."
    )


OFFLINE = [
    ("llmu", {}),
    ("relabel", {"labels": "random"}),
    ("adversarial_labels", {}),
    ("seul", {}),
    ("sga", {"threshold": 0.0}),
    ("tau", {"threshold": 0.0}),
    ("idk", {"style": "about"}),
    ("altpo", {"winner": "swapped"}),
    ("altpo_subnpo", {"winner": "swapped"}),
    ("r_idk", {}),
]


def trained(model, name, arguments, tools=None):
    after = unlearn(
        model,
        name,
        forget=FORGET,
        retain=RETAIN,
        arguments=arguments,
        tools=tools,
        lr=1e-3,
        steps=2,
        batch=2,
        save_every=0,
    )
    return [p.detach().clone() for p in after.model.parameters()]


@pytest.mark.parametrize(
    ("name", "arguments"), OFFLINE, ids=lambda x: x if isinstance(x, str) else ""
)
def test_offline(model, name, arguments):
    before = list(model[0].parameters())
    one, two = (trained(model, name, arguments) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one, two)) and any(
        not torch.equal(a, b) for a, b in zip(one, before)
    )


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("relearn", {}), ("seul", {"spans": "chat"}), ("altpo", {"winner": "chat"})],
    ids=["relearn", "seul", "altpo"],
)
def test_with_a_chat_model(model, name, arguments):
    after = trained(model, name, arguments, Tools(chat=Scripted(say)))
    assert any(not torch.equal(a, b) for a, b in zip(after, model[0].parameters()))


def test_unstar_has_nothing_to_do_for_a_model_that_knows_nothing(model):
    with pytest.raises(Refused, match="nothing to unlearn"):
        trained(model, "unstar", {"questions": 2}, Tools(chat=Scripted(say)))


@pytest.mark.parametrize("name", ["relearn", "unstar"])
def test_without_a_chat_model(model, name):
    with pytest.raises(Refused, match=f"^{name} needs a chat model; give one with --chat"):
        trained(model, name, {})
