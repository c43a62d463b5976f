"""Batched generation against one token after another, each prompt alone: no cache, no padding, no
batch.
"""

import pytest
import torch
from evaluation.observations.test_hidden_states import made

from expunge.models.causal_lm import generate
from expunge.models.causal_lm.generate import greedy, sampled

# of 2 to 12 tokens, not in order
PROMPTS = [[3 + (7 * i + j * j) % 200 for j in range(2 + (5 * i) % 11)] for i in range(14)]
BUDGETS = [(3 * i) % 9 for i in range(14)]  # 0 too
SEEDS = [f"s{i}" for i in range(14)]


@pytest.fixture(scope="module")
def model():
    return made(0).model


def alone(model, prompt, budget, eos):
    ids = list(prompt)
    while len(ids) - len(prompt) < budget:
        with torch.no_grad():
            ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
        if ids[-1] in eos:
            break
    return ids[len(prompt) :]


@pytest.mark.parametrize("batch", [1, 4, 128])
def test_greedy_is_what_each_prompt_gives_alone(model, batch):
    free = [alone(model, p, n, ()) for p, n in zip(PROMPTS, BUDGETS, strict=True)]
    # tokens at which some of them end early
    ends = {ids[len(ids) // 2] for ids in free if len(ids) > 3}
    expected = [alone(model, p, n, ends) for p, n in zip(PROMPTS, BUDGETS, strict=True)]
    assert expected != free
    assert greedy(model, PROMPTS, BUDGETS, (), batch=batch) == free
    assert greedy(model, PROMPTS, BUDGETS, sorted(ends), batch=batch) == expected


def test_draws_do_not_depend_on_the_batch(model):
    one = [
        sampled(model, [p], [n], (), [s])[0]
        for p, n, s in zip(PROMPTS, BUDGETS, SEEDS, strict=True)
    ]
    for batch in (3, 128):
        assert sampled(model, PROMPTS, BUDGETS, (), SEEDS, batch=batch) == one


def test_a_batch_is_sorted_cached_and_shrinks(model):
    """Prompts are read once, side by side with those of like length; then one token a row, and
    finished rows leave.
    """
    greedy(model, PROMPTS[:1], [2], ())  # what is tried once of a model is not counted
    shapes = []
    handle = model.model.layers[0].register_forward_pre_hook(
        lambda m, args: shapes.append(tuple(args[0].shape[:2]))
    )
    try:
        greedy(model, PROMPTS, BUDGETS, (), batch=4)
    finally:
        handle.remove()
    asked = sorted((len(p) for p, n in zip(PROMPTS, BUDGETS, strict=True) if n), reverse=True)
    read = [s for s in shapes if s[1] > 1]
    assert read == [(len(asked[i : i + 4]), asked[i]) for i in range(0, len(asked), 4)]
    assert all(s[1] == 1 for s in shapes if s not in read)
    rows_of_steps = sum(s[0] for s in shapes if s[1] == 1)
    assert rows_of_steps < sum(
        len(asked[i : i + 4]) * (max(BUDGETS) - 1) for i in range(0, len(asked), 4)
    )


def test_a_batch_is_bounded_in_tokens(model, monkeypatch):
    """Long prompts come in smaller batches; one that is longer than the bound comes alone."""
    whole = greedy(model, PROMPTS, BUDGETS, ())
    monkeypatch.setattr(generate, "TOKENS", 17)
    real, seen = generate._run, []
    monkeypatch.setattr(generate, "_run", lambda *args: (seen.append(args[4]), real(*args))[1])
    assert greedy(model, PROMPTS, BUDGETS, ()) == whole
    lengths = [len(p) + n for p, n in zip(PROMPTS, BUDGETS, strict=True)]
    assert sorted(i for rows in seen for i in rows) == [i for i, n in enumerate(BUDGETS) if n]
    assert max(lengths[i] for rows in seen for i in rows) > 17 and max(map(len, seen)) > 1
    assert all(len(rows) == 1 or len(rows) * max(lengths[i] for i in rows) <= 17 for rows in seen)


def test_a_long_prompt_is_read_in_pieces(model, monkeypatch):
    """What its blocks compute at once is bounded; what is written stays the same."""
    whole = greedy(model, PROMPTS, BUDGETS, (), batch=4)
    monkeypatch.setattr(generate, "at_once", lambda device: 16)
    read = []
    handle = model.model.layers[0].register_forward_pre_hook(
        lambda _m, args: read.append(args[0].shape[0] * args[0].shape[1])
    )
    try:
        assert greedy(model, PROMPTS, BUDGETS, (), batch=4) == whole
    finally:
        handle.remove()
    assert max(read) <= 16
