"""Concept vectors: the columns of weights themselves, both ends, and what they speak for by a plain
loop.
"""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from asking import asks

from expunge.api import evaluate
from expunge.core.data import Case, Example
from expunge.core.results import Records
from expunge.evaluation.observations.base import References
from expunge.evaluation.observations.concept_columns import ConceptColumns, concepts
from expunge.evaluation.observe import measure
from expunge.metrics.concept_vectors import concept_vectors
from expunge.models.causal_lm import tiny
from expunge.models.causal_lm.model import Subject
from expunge.models.causal_lm.tokenize import encode
from expunge.models.modules import digest_tensors

K = 20


def example(i, layer=1, column=None, role="forget"):
    tags = () if column is None else (f"layer/{layer}", f"column/{column}")
    return Example(
        f"{role}{i}",
        role,
        f"c{column}",
        f"In Town{i} by the River.",
        f"Where is Person{i}?",
        tags=tags,
    )


ROWS = tuple(example(i, column=i // 2) for i in range(6))


@pytest.fixture(scope="module")
def original():
    model, tokenizer = tiny.build(
        [t for e in ROWS for t in (e.prompt, e.answer)], layers=2, width=32, ffn=64, vocab=400
    )
    torch.manual_seed(0)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p) * 0.3)  # the final norm's gain too
    return Subject(model, tokenizer, "tiny", None, digest_tensors(model))


def after(original, change):
    model = copy.deepcopy(original.model)
    with torch.no_grad():
        change(model.model.layers[1].mlp.down_proj.weight)
    return replace(original, model=model)


def judged(original, subject, rows=ROWS, k=K):
    found = measure(
        subject,
        {"forget": rows},
        {"forget": asks(observations=(ConceptColumns(k),))},
        references=References(original),
    )
    return concept_vectors(found.records, "forget", k=k), found.cost


def test_untouched_columns_are_intact_and_rows_of_one_concept_count_once(original):
    m, cost = judged(original, after(original, lambda w: w[:, 9:].mul_(0)))
    assert (m.value, m.n, m.groups, m.better) == (1.0, 3, 3, "lower")
    assert m.parts == pytest.approx({"jaccard_raw": 1, "cosine": 1, "distance": 0})
    assert cost.more == {"columns of weights": 3}


def test_scaled_columns_speak_for_the_same_and_turned_round_for_other_tokens(original):
    m, _ = judged(original, after(original, lambda w: w.mul_(3)))
    assert m.value == 1 and m.parts["cosine"] == pytest.approx(1) and m.parts["distance"] > 1
    m, _ = judged(original, after(original, lambda w: w.mul_(-1)))
    assert m.value == 0 and m.parts["jaccard_raw"] == 0 and m.parts["cosine"] == pytest.approx(-1)


def test_columns_put_in_anew_share_tokens_only_by_chance(original):
    rows = tuple(example(i, column=i) for i in range(40))
    m, _ = judged(original, after(original, lambda w: w.copy_(torch.randn_like(w))), rows)
    vocab = original.vocab
    chance = np.mean([len(set(a) & set(b)) / len(set(a) | set(b)) for a, b in _draws(vocab)])
    assert m.n == 40 and m.value == pytest.approx(chance, abs=0.03) and abs(m.parts["cosine"]) < 0.2
    m, _ = judged(original, after(original, lambda w: w.mul_(0)), rows)
    assert m.value == m.parts["cosine"] == m.parts["jaccard_raw"] == 0


def _draws(vocab):
    rng = np.random.default_rng(0)
    return [(rng.choice(vocab, K, False), rng.choice(vocab, K, False)) for _ in range(500)]


def test_by_hand_from_the_weights_with_and_without_the_final_norm(original):
    torch.manual_seed(1)
    subject = after(original, lambda w: w.add_(torch.randn_like(w) * 0.3))
    m, _ = judged(original, subject)
    jaccard, raw, cosine, distance = [], [], [], []
    for j in range(3):
        a, b = (
            s.model.model.layers[1].mlp.down_proj.weight.detach()[:, j] for s in (original, subject)
        )
        head, gain = (
            original.model.lm_head.weight.detach(),
            original.model.model.norm.weight.detach(),
        )
        for kept, scale in ((jaccard, gain), (raw, torch.ones_like(gain))):
            x, y = (set((head @ (v * scale)).argsort(descending=True)[:K].tolist()) for v in (a, b))
            kept.append(len(x & y) / len(x | y))
        cosine.append(torch.nn.functional.cosine_similarity(a, b, 0).item())
        distance.append((a - b).norm().item())
    assert m.value == pytest.approx(np.mean(jaccard)) and 0 < m.value < 1
    assert m.parts == pytest.approx(
        {"jaccard_raw": np.mean(raw), "cosine": np.mean(cosine), "distance": np.mean(distance)},
        abs=1e-6,
    )
    assert m.value != m.parts["jaccard_raw"]  # who leaves the norm's gain out reads other tokens


def test_a_column_with_its_adapter(original):
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=2, target_modules=["down_proj"], init_lora_weights=False)
    model = get_peft_model(copy.deepcopy(original.model), config)
    merged = (
        copy.deepcopy(model).merge_and_unload().model.layers[1].mlp.down_proj.weight.detach()[:, 5]
    )
    found = replace(original, model=model).unit_output(1, 5)
    torch.testing.assert_close(found, merged, atol=1e-5, rtol=0)
    assert not torch.allclose(found, original.unit_output(1, 5), atol=1e-3)


def test_another_architecture_keeps_its_matrix_the_other_way_round():
    from transformers import GPT2Config, GPT2LMHeadModel

    model = GPT2LMHeadModel(GPT2Config(vocab_size=50, n_embd=16, n_layer=2, n_head=2, n_inner=24))
    torch.nn.init.normal_(model.transformer.h[1].mlp.c_proj.bias)
    subject = Subject(model, None, "gpt2", None, "")
    torch.testing.assert_close(
        subject.unit_output(1, 20),
        model.transformer.h[1].mlp.c_proj.weight.detach()[20],
        atol=1e-6,
        rtol=0,
    )
    assert subject.unit_output(1, 24) is None and subject.unit_output(2, 0) is None


def test_what_is_missing_is_said(original, row):
    assert "--forget" in concept_vectors(Records(), "forget").reason
    m, cost = judged(None, original)
    assert m.value is None and "--original" in m.reason and not cost.more
    m, _ = judged(
        original,
        after(original, lambda w: None),
        (example(0), example(1, layer=7, column=3), example(2, column=64)),
    )
    assert m.value is None and "no column of weights that this model has" in m.reason


def test_rows_without_a_column_are_left_out(original):
    rows = (example(9), *ROWS)
    found, n = concepts(
        after(original, lambda w: None), original, encode(original.tokenizer, rows), rows, K
    )
    assert n == 3 and [len(x) for x in found] == [0, 5, 5, 5, 5, 5, 5]


def test_the_original_is_loaded_beside_and_a_second_question_is_answered_from_what_is_kept(
    original, tmp_path, monkeypatch
):
    monkeypatch.setenv("EXPUNGE_CACHE", str(tmp_path))
    torch.manual_seed(2)
    subject = after(original, lambda w: w.add_(torch.randn_like(w)))
    subject = replace(subject, digest=digest_tensors(subject.model))
    case = Case({}, {"forget": ROWS})
    ask = lambda before: evaluate(subject, original=before, case=case, metrics=["concept_vectors"])[
        "forget/concept_vectors"
    ]
    m = ask(original)
    assert m.n == 3 and m.value < 1 and m == ask(original)
    assert ask(replace(subject)).value == 1  # another model before is another question
    assert "--original" in ask(None).reason
