"""A model of a few thousand parameters and rows of random tokens, for tests of the engine."""

import random
from dataclasses import replace

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from expunge.core.data import Row
from expunge.models.causal_lm.model import Subject


def small_model(seed=0, vocab=64, layers=3, width=32):
    """A Llama with random weights; the global generator stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = LlamaConfig(
            vocab_size=vocab,
            hidden_size=width,
            intermediate_size=2 * width,
            num_hidden_layers=layers,
            num_attention_heads=2,
            max_position_embeddings=128,
            tie_word_embeddings=True,
            bos_token_id=1,
            eos_token_id=2,
            pad_token_id=0,
        )
        return LlamaForCausalLM(config).eval()


def small_subject(seed=0, **kwargs):
    return Subject(small_model(seed, **kwargs), tokenizer=None, source="small")


def held(model):
    """A torch module as the Model that training takes; a Model stays what it is."""
    return model if isinstance(model, Subject) else Subject(model, None)


def rows(role, n, seed=0, vocab=64):
    """Rows of 10 to 20 tokens with an answer of 2 to 8 at the end."""
    draw = random.Random(f"{role}/{seed}")
    made = []
    for i in range(n):
        length, answer = draw.randint(10, 20), draw.randint(2, 8)
        ids = tuple(draw.randrange(3, vocab) for _ in range(length))
        scored = tuple(j >= length - answer for j in range(length))
        made.append(
            Row(f"{role}/{i}", role, f"g{i // 4}", "answer", ids, scored, length - answer, False)
        )
    return made


def streams(n=12, seed=0):
    """forget and retain rows, and rows that answer or are forget rows: an alternate and a mismatch
    have a forget row's id and prompt and another answer, two renamed ones its id and another token
    at the third place, a relabeled one other labels; a refused retain row has a retain row's.
    """
    forget, retain, other = (
        rows("forget", n, seed),
        rows("retain", 2 * n, seed),
        rows("other", n, seed),
    )
    made = {
        "forget": forget,
        "retain": retain,
        "renamed": [renamed(f, step) for f in forget for step in (7, 20)],
    }
    made["relabelled"] = [
        replace(f, role="relabelled", labels=tuple(3 + (t + 11) % 61 for t in f.ids))
        for f in forget
    ]
    made["retain_refused"] = [
        alternate(r, o, "retain_refused") for r, o in zip(retain, rows("refusal", 2 * n, seed))
    ]
    return made | {
        role: [alternate(f, o, role) for f, o in zip(forget, other)]
        for role in ("alternate", "mismatch")
    }


def alternate(forget, other, role="alternate"):
    answer = other.ids[other.n_prompt :]
    scored = (False,) * forget.n_prompt + (True,) * len(answer)
    return replace(forget, role=role, ids=forget.ids[: forget.n_prompt] + answer, scored=scored)


def renamed(forget, step, at=2, vocab=64):
    other = 3 + (forget.ids[at] + step) % (vocab - 3)
    return replace(forget, role="renamed", ids=(*forget.ids[:at], other, *forget.ids[at + 1 :]))
