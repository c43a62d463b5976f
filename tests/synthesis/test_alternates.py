"""Plausible wrong answers."""

import pytest

from expunge import registry
from expunge.core.data import Example
from expunge.core.errors import Failed, Refused
from expunge.models.causal_lm import tiny
from expunge.models.causal_lm.model import Subject
from expunge.synthesis.alternates import alternates
from expunge.synthesis.chat import Scripted
from expunge.synthesis.names import find
from expunge.synthesis.texts import gives_away, same, secrets
from expunge.synthesis.tools import Tools

ROW = Example(
    "f/0",
    "forget",
    "g",
    "Ada Byron was born in 1815 in London.",
    "When was Ada Byron born?",
    source="f.jsonl:1",
)


def test_five_per_row_from_a_chat_model():
    chat = Scripted(lambda prompt, seed: f"Answer: She was born in {1900 + seed % 7}.")
    made = alternates({"forget": (ROW,)}, Tools(chat=chat), source="chat")
    assert (
        len(made) == 5
        and {e.role for e in made} == {"alternate"}
        and {e.id for e in made} == {"f/0"}
    )
    assert all(e.answer.startswith("She was born in 19") and e.prompt == ROW.prompt for e in made)


def test_the_true_answer_is_drawn_again():
    asked = []

    def say(prompt, seed):
        asked.append(seed)
        return ROW.answer.upper() if len(asked) <= 7 else f"wrong {len(asked)}"

    made = alternates({"forget": (ROW,)}, Tools(chat=Scripted(say)), source="chat")
    assert len(made) == 5 and not any(same(e.answer, ROW.answer) for e in made) and len(asked) == 15
    with pytest.raises(Failed, match=r"^f.jsonl:1: no other answer than the true one") as e:
        alternates({"forget": (ROW,)}, Tools(chat=Scripted(lambda p, s: ROW.answer)), source="chat")
    assert "Byron" not in str(e.value)


def test_the_start_model_writes_them_at_temperature_one():
    model, tokenizer = tiny.build([ROW.answer, ROW.prompt], seed=0)
    model.config.max_position_embeddings = 1024  # random weights: what it says does not matter
    tools = Tools(seed=3, subject=lambda: Subject(model, tokenizer, "tiny", None, "d"))
    one, two = (
        alternates({"forget": (ROW,)}, tools, source="model", k=3, max_new_tokens=6)
        for _ in range(2)
    )
    assert one == two and len({e.answer for e in one}) > 1


@pytest.fixture(scope="module")
def case():
    return registry.resolve("benchmarks", "builtin", {}).case.train


def test_names_and_numbers_exchanged_without_any_model(case):
    made = alternates(
        {"forget": case["forget"], "retain": case["retain"]}, Tools(seed=1), source="swapped", k=3
    )
    assert len(made) == 3 * len(case["forget"])
    by = {e.id: e for e in case["forget"]}
    for e in made:
        assert not gives_away(e.answer, by[e.id], find) and e.prompt == by[e.id].prompt
    wordings = {e.answer.split()[-2] for e in made}
    assert len(wordings) > 5
    back = alternates(
        {"forget": case["forget"][::-1], "retain": case["retain"]},
        Tools(seed=1),
        source="swapped",
        k=3,
    )
    assert {e.id for e in back} == set(by)


def test_numbers_keep_their_form():
    (new,) = alternates(
        {"forget": (ROW, Example("f/1", "forget", "h", "It was in 1901 in Paris.", "When?"))},
        Tools(seed=1),
        source="swapped",
        k=1,
    )[:1]
    year = int("".join(c for c in new.answer if c.isdigit()))
    assert year != 1815 and 1795 <= year <= 1835 and "London" not in new.answer


def test_nothing_stands_in_for_the_source_that_was_asked_for():
    chat = Scripted(lambda p, s: "from chat")
    assert alternates({"forget": (ROW,)}, Tools(chat=chat), source="chat")[0].answer == "from chat"
    for other in ("model", "swapped"):
        with pytest.raises(Refused, match=f"--chat: winner {other} does not ask it"):
            alternates({"forget": (ROW,)}, Tools(chat=chat), source=other)
    with pytest.raises(Refused, match="--chat MODEL"):
        alternates({"forget": (ROW,)}, Tools(), source="chat")


def test_what_gives_an_answer_away():
    assert secrets(ROW, find) == ("London", "1815")
    assert gives_away("It was 1815, I think", ROW, find) and gives_away("in london", ROW, find)
    assert not gives_away("Ada Byron was born long ago.", ROW, find) and not gives_away(
        "in 18150", ROW, find
    )
