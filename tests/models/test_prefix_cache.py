"""Rows that begin alike: their beginning is read once, and every number and every token is what it
is without that.
"""

from random import Random

import numpy as np
import pytest
import torch
from asking import asks
from record_fields import every_field
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
)

from expunge.core.data import Example
from expunge.data.columns import BARE, LITERAL
from expunge.evaluation.observe import measure
from expunge.models.causal_lm import generate, prefix_cache, tiny
from expunge.models.causal_lm import score as scoring
from expunge.models.causal_lm.answer_trees import goes_on, longest
from expunge.models.causal_lm.model import Subject
from expunge.models.causal_lm.modules import blocks
from expunge.models.causal_lm.prefix_cache import families

CPU = torch.device("cpu")
NAMES = [f"{a}{b}" for a in ("Avo", "Bel", "Cor", "Dun", "Eri") for b in ("n", "ta", "mis")]


def solved(names):
    return "".join(
        f"Question: Where does {n} live?\nAnswer: {n} lives in the town of {n[::-1]}.\n\n"
        for n in names
    )


def question(role, i, shots):
    name = NAMES[i % len(NAMES)]
    other = {
        "perturbed/0": f" {name} is dead.",
        "question/options": f"{shots}Question: {name}?\nAnswer:",
    }
    return Example(
        f"{role}/{i}",
        role,
        f"g{i // 2}",
        f" {name} lives in {name[::-1]}{i}.",
        f"{shots}Question: Where does {name} live{' now' * (i % 3)}?\nAnswer:",
        variants=other,
        options=(f" {name}", " Nowhere", f" In {name[::-1]}"),
        right=2,
        tags=(LITERAL, BARE),
    )


# two families of six with beginnings of different length, and rows that begin as nobody else does
ROLES = {
    "forget": tuple(
        question("forget", i, solved(NAMES[:7] if i < 6 else NAMES[10:14])) for i in range(12)
    ),
    "retain": tuple(question("retain", i, "") for i in range(3)),
}
WANTS = {"forget": asks(("answer", "perturbed/"), True, True, "all"), "retain": asks(write=True)}
SIZES = {"vocab_size": 320, "max_position_embeddings": 1024}
WIDE = {**SIZES, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3}
MODELS = {
    "tied": lambda: LlamaForCausalLM(
        LlamaConfig(**WIDE, num_attention_heads=4, tie_word_embeddings=True)
    ),
    "grouped queries": lambda: LlamaForCausalLM(
        LlamaConfig(**WIDE, num_attention_heads=4, num_key_value_heads=2)
    ),
    "absolute places": lambda: GPT2LMHeadModel(
        GPT2Config(vocab_size=320, n_positions=1024, n_embd=32, n_layer=3, n_head=4)
    ),
}
ALONE = {
    "window": lambda: MistralForCausalLM(
        MistralConfig(**WIDE, num_attention_heads=4, num_key_value_heads=2, sliding_window=24)
    ),
    "dynamic places": lambda: LlamaForCausalLM(
        LlamaConfig(
            **WIDE,
            num_attention_heads=4,
            rope_parameters={"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4},
        )
    ),
    "recurrent": lambda: MambaForCausalLM(
        MambaConfig(vocab_size=320, hidden_size=32, state_size=8, num_hidden_layers=2)
    ),
}


def made(build):
    """A model whose arg-maxes differ from place to place."""
    tokenizer = tiny.tokenizer([solved(NAMES)], vocab=320)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build().eval()
        with torch.no_grad():
            for p in blocks(model).parameters():
                p.add_(torch.randn_like(p) * 0.2)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    return Subject(model, tokenizer, "made")


def asked(subject, tokens=12):
    return measure(subject, ROLES, WANTS, max_new_tokens=tokens, max_length=1024)


def apart(subject, monkeypatch):
    """The same with nothing shared but prompts."""
    for module in (scoring, generate):
        monkeypatch.setattr(module, "goes_on", lambda model: False)
    return asked(subject)


def same(found, other):
    assert found.ids == other.ids
    assert [(r.role, r.id, r.variant) for r in found.records] == [
        (r.role, r.id, r.variant) for r in other.records
    ]
    for a, b in zip(found.records, other.records, strict=True):
        one, other = every_field(a), every_field(b)
        assert one.keys() == other.keys()
        for name, x in one.items():
            y = other[name]
            if isinstance(x, np.ndarray) and x.dtype.kind == "f":
                np.testing.assert_allclose(x, y, atol=1e-4, err_msg=name)
            elif isinstance(x, np.ndarray):
                np.testing.assert_array_equal(x, y, err_msg=name)
            else:
                assert x == y, name


@pytest.mark.parametrize("name", MODELS)
def test_every_field_and_every_text_is_what_it_is_apart(name, monkeypatch):
    subject = made(MODELS[name])
    assert goes_on(subject.model)
    found = asked(subject)
    other = apart(subject, monkeypatch)
    same(found, other)
    assert found.cost.tokens < 0.5 * other.cost.tokens and found.cost.rows == other.cost.rows
    assert (
        len({tuple(x["generated"]) for x in found.ids.values()}) > 5 and found.cost.generated > 60
    )


@pytest.mark.parametrize("name", ALONE)
def test_a_model_that_keeps_no_cache_of_everything_reads_every_row_whole(name, monkeypatch):
    subject = made(ALONE[name])
    assert not goes_on(subject.model)
    monkeypatch.setattr(prefix_cache, "read", None)
    found = asked(subject, 3)
    monkeypatch.setattr(scoring, "longest", lambda model: 0)
    monkeypatch.setattr(scoring, "capacity_for", lambda model: 0)
    same(found, asked(subject, 3))


def test_a_row_longer_than_the_window_stands_in_no_tree():
    """A tree's mask knows of no window: the numbers would be those of another model."""
    assert (
        longest(made(ALONE["window"]).model) == 24
        and longest(made(MODELS["tied"]).model) >= 1 << 30
    )


def test_what_is_shared_goes_through_the_model_once(monkeypatch):
    subject = made(MODELS["tied"])
    assert goes_on(subject.model)
    read = []
    handle = blocks(subject.model)[0].register_forward_pre_hook(
        lambda m, args: read.append(args[0].shape[:2])
    )
    try:
        asked(subject)
        together = sum(b * n for b, n in read)
        alone_at = [n for b, n in read if b == 1 and n > 64]
        read.clear()
        apart(subject, monkeypatch)
    finally:
        handle.remove()
    assert len(alone_at) == 4  # two families, in S1 and in S2
    assert together < 0.5 * sum(b * n for b, n in read)


def test_batches_are_bounded_with_what_they_share(monkeypatch):
    subject = made(MODELS["tied"])
    whole = asked(subject)
    monkeypatch.setattr(scoring, "KEYS", 2048)
    monkeypatch.setattr(generate, "TOKENS", 2048)
    keys = []
    real = prefix_cache.Roomy.update

    def update(self, new, values, *args, **kwargs):
        out = real(self, new, values, *args, **kwargs)
        keys.append((out[0].shape[0], out[0].shape[0] * out[0].shape[2]))
        return out

    monkeypatch.setattr(prefix_cache.Roomy, "update", update)
    same(asked(subject), whole)
    assert max(n for b, n in keys if b > 1) <= 2048 and max(b for b, _ in keys) > 2


def by_hand(ids, tokens=2, spared=2):
    """The most tokens that families spare which are whole branches of the trie."""

    def below(some, depth):
        while all(len(x) > depth for x in some) and len({x[depth] for x in some}) == 1:
            depth += 1
        branches = {}
        for x in some:
            if len(x) > depth:
                branches.setdefault(x[depth], []).append(x)
        own = depth * (len(some) - 1)
        return max(
            own if depth >= tokens and own >= spared else 0,
            sum(below(b, depth + 1) for b in branches.values()),
        )

    return below(ids, 0) if ids else 0


def test_families_are_the_branches_that_spare_most(monkeypatch):
    monkeypatch.setattr(prefix_cache, "LEAST", 2)
    monkeypatch.setattr(prefix_cache, "SPARED", 2)
    draw = Random(0)
    for _ in range(500):
        ids = [
            tuple(draw.choice((0, 0, 0, 1)) for _ in range(draw.randint(0, 9)))
            for _ in range(draw.randint(0, 9))
        ]
        *some, (none, others) = families(ids, CPU)
        assert none == 0 and sorted(i for _, who in (*some, (0, others)) for i in who) == list(
            range(len(ids))
        )
        assert all(
            len({ids[i][:n] for i in who}) == 1 and min(len(ids[i]) for i in who) >= n
            for n, who in some
        )
        assert sum(n * (len(who) - 1) for n, who in some) == by_hand(ids)


def test_what_spares_little_is_read_with_the_rest():
    rows = lambda shared, n: [(*range(shared), 1000 + i) for i in range(n)]
    assert [n for n, _ in families(rows(63, 50), CPU)] == [0]
    assert [n for n, _ in families(rows(100, 3), CPU)] == [0]
    assert [n for n, _ in families(rows(100, 4), CPU)] == [100, 0]
    # a forward costs more there
    assert [n for n, _ in families(rows(100, 4), torch.device("cuda"))] == [0]


def test_an_answer_to_one_prompt_drawn_often_reads_it_once():
    """Samples of a prompt share it up to its last token, which predicts."""
    subject = made(MODELS["tied"])
    prompt = list(range(10, 110))
    draws = dict(budgets=[6] * 5, eos_ids=(), seeds=[f"s{i}" for i in range(5)])
    together = generate.sampled(subject.model, [prompt] * 5, **draws)
    one = [generate.sampled(subject.model, [prompt], [6], (), [f"s{i}"])[0] for i in range(5)]
    assert together == one and len({tuple(x) for x in one}) > 1
