"""Texts of models that are no plain transformers, against one token after another with everything
read anew.
"""

import pytest
import torch
from asking import asks
from families import VOCAB, gpt2, lfm2, llama, mamba, put, qwen3_5, rwkv, seeded, shape, words
from peft import PrefixTuningConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

from expunge.core.data import Example, Row
from expunge.core.errors import Refused
from expunge.core.notes import forget_notes
from expunge.evaluation.observe import measure
from expunge.models.causal_lm import generate
from expunge.models.causal_lm.forward import capacity_for, forward, pack
from expunge.models.causal_lm.generate import greedy, keeps_up, sampled
from expunge.models.causal_lm.load import load
from expunge.models.causal_lm.model import Subject
from expunge.models.causal_lm.positions import check_places, places_of, room_for_texts

FAMILIES = {"qwen3_5": qwen3_5, "lfm2": lfm2, "mamba": mamba, "rwkv": rwkv, "llama": llama}
PROMPTS = [[3 + (7 * i + j * j) % 200 for j in range(2 + (5 * i) % 7)] for i in range(6)]
BUDGETS = [9, 2, 7, 1, 5, 12]  # rows finish one after the other


def alone(model, prompt, budget):
    ids = list(prompt)
    for _ in range(budget):
        with torch.no_grad():
            ids.append(
                int(model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].argmax())
            )
    return ids[len(prompt) :]


@pytest.fixture(scope="module", params=FAMILIES)
def model(request):
    made = FAMILIES[request.param]()
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(3)
        for p in made.parameters():
            p.add_(0.2 * torch.randn_like(p))  # what a state carries counts
    return made


def test_texts_are_what_each_prompt_gives_alone(model):
    expected = [alone(model, p, n) for p, n in zip(PROMPTS, BUDGETS, strict=True)]
    assert len({tuple(ids) for ids in expected}) > 3  # not one token for ever
    assert greedy(model, PROMPTS, BUDGETS, ()) == expected
    ends = {ids[1] for ids in expected if len(ids) > 2}
    cut = [
        ids[: 1 + next((k for k, t in enumerate(ids) if t in ends), len(ids))] for ids in expected
    ]
    assert cut != expected and greedy(model, PROMPTS, BUDGETS, sorted(ends)) == cut


def test_draws_do_not_depend_on_the_batch(model):
    seeds = [f"s{i}" for i in range(6)]
    one = [
        sampled(model, [p], [n], (), [s])[0]
        for p, n, s in zip(PROMPTS, BUDGETS, seeds, strict=True)
    ]
    assert sampled(model, PROMPTS, BUDGETS, (), seeds) == one


def test_rows_are_scored_as_they_are_alone(model):
    """Layers that convolve or carry a state never share a bin."""
    rows = [
        Row(str(i), "r", "g", "answer", tuple(p), (False,) + (True,) * (len(p) - 1), 1, False)
        for i, p in enumerate(PROMPTS)
    ]
    with torch.no_grad():
        packed = pack(rows, capacity_for(model))
        found = forward(model, packed).logits
        expected = torch.cat(
            [model(input_ids=torch.tensor([r.ids]), use_cache=False).logits[0, :-1] for r in rows]
        )
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert (capacity_for(model) == 0) == (model.config.model_type != "llama")


def test_what_loses_its_cache_writes_without_and_says_so(caplog):
    forget_notes()
    model = rwkv()  # it has another name for its state, and swallows ours
    assert not keeps_up(model)
    assert (
        "RwkvForCausalLM: read from its cache it writes other texts, so they are written without "
        "it (slower)" in caplog.text
    )
    assert all(keeps_up(FAMILIES[name]()) for name in ("llama", "qwen3_5", "lfm2"))


def test_a_prefix_that_a_cache_would_push_out_is_kept(tmp_path):
    """peft puts the prefix where the cache stands: with a cache of our own it would be lost."""
    base = llama()
    net = get_peft_model(
        base, PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=5)
    ).eval()
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        for p in net.parameters():
            if p.requires_grad:
                p.normal_()
    expected = [alone(net, p, n) for p, n in zip(PROMPTS, BUDGETS, strict=True)]
    assert greedy(net, PROMPTS, BUDGETS, ()) == expected
    with net.disable_adapter():
        assert [alone(net, p, n) for p, n in zip(PROMPTS, BUDGETS, strict=True)] != expected


def test_nothing_is_written_where_no_way_agrees(monkeypatch):
    model = llama()
    monkeypatch.setattr(generate, "_agrees", lambda model, run: False)
    with pytest.raises(
        Refused,
        match="LlamaForCausalLM: one token after the other it has other logits than at once",
    ):
        greedy(model, PROMPTS, BUDGETS, ())


def test_a_hybrid_is_judged_by_its_texts(tmp_path):
    subject = load(put(qwen3_5(), tmp_path / "hybrid"))
    rows = tuple(
        Example(f"r{i}", "forget", f"g{i}", f"Answer number {i}.", f"Question {'so ' * i}{i}?")
        for i in range(6)
    )
    found = measure(subject, {"forget": rows}, {"forget": asks(write=True)}, max_new_tokens=12)
    assert len([r for r in found.records if r.generated is not None]) == 6


# ------------------------------------------------------------------ tables of positions


def row(n):
    return Row(
        "r",
        "r",
        "g",
        "answer",
        tuple(3 + i % 90 for i in range(n)),
        (False,) + (True,) * (n - 1),
        1,
        False,
        "",
        "rows.jsonl:7",
    )


def test_rows_beyond_what_rotary_positions_were_made_for_are_told(caplog):
    forget_notes()
    check_places(llama(max_position_embeddings=64), [row(64)])
    assert not caplog.text
    check_places(llama(max_position_embeddings=64), [row(65)])
    assert "some rows have more than the 64 tokens that the model was made for" in caplog.text


def test_a_text_ends_at_the_last_place():
    model = gpt2(32)
    assert places_of(model) == 32 and places_of(llama()) is None
    assert [
        len(ids) for ids in greedy(model, [[5] * 20, [5] * 32, [5] * 31], [50, 50, 50], ())
    ] == [12, 0, 1]


def test_rows_longer_than_the_table_are_refused_by_line():
    model = gpt2(32)
    check_places(model, [row(32)])
    with pytest.raises(
        Refused,
        match=r"rows\.jsonl:7: 1 rows have more tokens than the 32 places of this model, "
        r"this one 33",
    ):
        check_places(model, [row(32), row(33)])
    with pytest.raises(Refused, match=r"rows\.jsonl:7: .* 32 places"):
        forward(model, pack([row(40)]))


def test_raw_texts_are_cut_to_the_table(tmp_path):
    text = Example("t", "forget", "g", text="In Marn there live nine grey hens. " * 12)
    subject = Subject(gpt2(48), words(), "gpt2")
    assert room_for_texts(subject.model, 512, [text]) == 48
    found = measure(subject, {"forget": (text,)}, {"forget": asks()})
    assert len(found.records) > 1 and max(r.n_tokens for r in found.records) < 48


@pytest.mark.parametrize("kind", ["dynamic", "longrope"])
def test_positions_that_depend_on_the_longest_row_are_not_read_past_their_first_length(kind):
    more = (
        {
            "short_factor": [1.0] * 4,
            "long_factor": [4.0] * 4,
            "original_max_position_embeddings": 64,
        }
        if kind == "longrope"
        else {}
    )
    rope = {"rope_type": kind, "factor": 4.0, "rope_theta": 10000.0, **more}
    config = LlamaConfig(**shape(rope_parameters=rope, max_position_embeddings=256))
    model = seeded(lambda: LlamaForCausalLM(config))
    assert places_of(model) == (64 if kind == "longrope" else 256) and VOCAB > 256
