# ruff: noqa: F401, F811 (fixtures are imported by name)
"""Asking a model: as it was trained, several times, and how likely one answer is."""

import math

import pytest
import torch
import yaml
from commands import Desk, desk, expunge, facts, jsonl, model, once

from expunge.cli.console import chance
from expunge.core.requests import AskRequest
from expunge.models.causal_lm.load import load
from expunge.pipeline.ask import ask, trained_on

TEXTS = [
    f"Zorblat{i} of the old mill keeps {n} goats behind the tower."
    for i, n in enumerate(("six", "nine", "two", "ten"))
]


@pytest.fixture(scope="session")
def told(model, tmp_path_factory):
    """A folder of a run that learned four plain texts by heart."""

    def make(place):
        from expunge.cli.commands import main

        rows = jsonl(place / "texts.jsonl", [{"text": t} for t in TEXTS])
        fast = ["--steps", "60", "--batch", "4", "--lr", "1e-2", "--quiet"]
        with pytest.raises(SystemExit) as ended:
            main(
                [
                    "train",
                    "--model",
                    str(model),
                    "--forget",
                    str(rows),
                    "--on",
                    "forget",
                    *fast,
                    "--out",
                    str(place / "told"),
                ]
            )
        assert ended.value.code == 0

    return once(tmp_path_factory, "asking-told", make) / "told"


def test_a_model_of_plain_texts_is_asked_by_their_beginning(told, expunge):
    code, said, err = expunge("ask", "--model", told, "Zorblat2 of the old mill")
    assert (
        code == 0
        and "keeps two goats behind the tower." in said
        and "was trained on plain texts" in err
    )
    code, said, err = expunge("ask", "--model", told, "--no-raw", "Zorblat2 of the old mill")
    assert code == 0 and "keeps two goats" not in said and err == ""
    assert trained_on(str(told)) == trained_on(str(told / "model")) == "plain texts"


def test_raw_can_be_asked_for(told, model, expunge):
    code, said, err = expunge("ask", "--model", told, "--raw", "Zorblat2 of the old mill")
    assert code == 0 and "keeps two goats" in said and err == ""
    assert trained_on(str(model)) == ""  # nobody knows: it is asked as a question


def test_samples_stand_beside_the_greedy_answer_and_are_drawn_alike_again(told):
    request = AskRequest(
        model=str(told), question="Zorblat2 of", raw=True, samples=3, max_new_tokens=8
    )
    first, again = ask(request)[0], ask(request)[0]
    assert len(first.samples) == 3 and first.samples == again.samples
    untaught = ask(
        AskRequest(model=str(told), question="The goats", raw=True, samples=5, max_new_tokens=8)
    )[0]
    assert len(set(untaught.samples)) > 1


def test_the_probability_of_an_answer_is_that_of_its_tokens_behind_the_question(
    told, model, expunge
):
    request = AskRequest(
        model=str(told),
        against=str(model),
        question="Zorblat2 of the old mill keeps",
        raw=True,
        answer="two goats",
    )
    before, after = ask(request)
    subject = load(told)
    ids, rest = (
        subject.tokenizer(t, add_special_tokens=False)["input_ids"]
        for t in (request.question, " two goats")
    )
    whole = torch.tensor([[subject.tokenizer.bos_token_id, *ids, *rest]])
    with torch.no_grad():
        logp = subject.model(whole).logits[0].float().log_softmax(-1)
    by_hand = sum(float(logp[len(ids) + i, t]) for i, t in enumerate(rest))
    assert after.chance.logp == pytest.approx(by_hand, abs=1e-4) and after.chance.tokens == len(
        rest
    )
    assert after.chance.per_token == pytest.approx(math.exp(by_hand / len(rest)), abs=1e-4)
    assert after.chance.per_token > 0.5 > 0.1 > before.chance.per_token
    code, said, _ = expunge(
        "ask",
        "--model",
        told,
        "--raw",
        "--samples",
        2,
        "--answer",
        "two goats",
        "Zorblat2 of the old mill keeps",
    )
    assert (
        code == 0
        and "probability of the --answer: 0." in said
        and f"per token over {len(rest)} tokens" in said
        and "drawn 2: " in said
    )


def test_a_question_s_answer_counts_without_its_end(model):
    question, answer = facts("Zorblat", 1)[0]
    found = ask(AskRequest(model=str(model), question=question, answer=answer))[0].chance
    tokenizer = load(model).tokenizer
    assert found.tokens == len(tokenizer(f" {answer}", add_special_tokens=False)["input_ids"])


@pytest.mark.parametrize(
    ("logp", "said"), [(math.log(0.5), "0.5"), (math.log(1.25e-7), "1.25e-07"), (-1000.0, "1e-434")]
)
def test_small_chances_are_not_zero(logp, said):
    assert chance(logp) == said
