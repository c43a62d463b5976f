"""The tiny model: a real Hugging Face model and tokenizer, made from texts and a seed."""

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from expunge.core.data import Example
from expunge.core.errors import Refused
from expunge.models.causal_lm.model import Subject
from expunge.models.causal_lm.modules import blocks
from expunge.models.causal_lm.tiny import BOS, CHAT, EOS, PAD, build, tokenizer

TEXTS = [
    "Where does Avo Kal live?",
    "Avo Kal lives in Ober Moor.",
    "Who taught Avo Kal?",
    "Avo Kal was taught by Ina Zett.",
]
SMALL = {"layers": 2, "width": 32, "ffn": 48, "vocab": 320, "heads": 2, "max_length": 64}
TALK = [{"role": "user", "content": TEXTS[0]}, {"role": "assistant", "content": TEXTS[1]}]


def ids_of(k, talk=TALK, **kwargs):
    return k.apply_chat_template(talk, return_dict=False, **kwargs)


def test_about_a_million_parameters_at_its_defaults():
    words = [
        f"{a}{b} {c}"
        for a in "bdfgklm"
        for b in ("an", "or", "il", "ess")
        for c in ("moor", "haven", "quay", "wick")
    ]
    model, _ = build([*TEXTS, *words])
    assert 0.8e6 < model.num_parameters() < 1.2e6
    assert model.get_input_embeddings().weight is model.get_output_embeddings().weight
    assert (len(blocks(model)), model.config.hidden_size, model.config.intermediate_size) == (
        4,
        128,
        384,
    )


def test_saved_and_loaded_by_the_auto_classes_it_is_the_same(tmp_path):
    model, k = build(TEXTS, **SMALL)
    model.save_pretrained(tmp_path)
    k.save_pretrained(tmp_path)
    again, k2 = (
        AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32),
        AutoTokenizer.from_pretrained(tmp_path),
    )
    ids = ids_of(k)
    assert ids_of(k2) == ids and k2.get_vocab() == k.get_vocab() and k2.chat_template == CHAT
    assert k2("Avo Kal").input_ids == k("Avo Kal").input_ids
    assert (k2.pad_token, k2.bos_token, k2.eos_token, k2.model_max_length) == (PAD, BOS, EOS, 64)
    with torch.no_grad():
        assert torch.equal(model(torch.tensor([ids])).logits, again(torch.tensor([ids])).logits)
    assert Subject(again, k2).eos_ids == (k.eos_token_id,)
    assert again.generation_config.pad_token_id == k.pad_token_id != k.eos_token_id


def test_one_seed_one_model_and_torch_is_left_alone():
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    one, two, other = (build(TEXTS, seed=s, **SMALL)[0].state_dict() for s in (1, 1, 2))
    assert torch.equal(torch.rand(3), wanted)
    assert all(torch.equal(one[n], two[n]) for n in one)
    assert not torch.equal(one["model.embed_tokens.weight"], other["model.embed_tokens.weight"])


def test_the_tokenizer_does_not_depend_on_the_order_of_texts():
    assert (
        tokenizer(TEXTS, vocab=320).get_vocab()
        == tokenizer([*TEXTS[::-1], TEXTS[0]], vocab=320).get_vocab()
    )


def test_any_text_comes_back():
    _, k = build(TEXTS, **SMALL)
    for text in ("Avo  Kal\n lives, ", "Zürich 东京 🦙", " leading"):
        assert k.decode(k(text, add_special_tokens=False).input_ids) == text


def test_a_row_is_prompt_then_answer_then_eos():
    _, k = build(TEXTS, **SMALL)
    prompt, row = ids_of(k, TALK[:1], add_generation_prompt=True), ids_of(k)
    assert row[: len(prompt)] == prompt and prompt[0] == k.bos_token_id
    assert k.decode(row[len(prompt) :]) == TEXTS[1] + EOS
    assert row.count(k.eos_token_id) == 2 and k.pad_token_id not in row
    assert k.decode(prompt) == f"{BOS}<|user|>{TEXTS[0]}{EOS}<|assistant|>"


def test_the_encode_of_hub_models_finds_the_same_spans():
    encode = pytest.importorskip("expunge.models.causal_lm.tokenize").encode
    _, k = build(TEXTS, **SMALL)
    (row,) = encode(k, (Example("a", "forget", "g", prompt=TEXTS[0], answer=TEXTS[1]),))
    assert k.decode(list(row.answer_ids)) == TEXTS[1] + EOS and row.eos
    assert (
        row.n_prompt
        == len(ids_of(k, TALK[:1], add_generation_prompt=True))
        == len(row) - len(row.answer_ids)
    )


@pytest.mark.parametrize(
    ("change", "word"),
    [({"vocab": 100}, "262"), ({"heads": 3}, "multiple of 6"), ({"heads": 32}, "multiple of 64")],
)
def test_what_cannot_be_built_is_refused(change, word):
    with pytest.raises(Refused, match=word):
        build(TEXTS, **(SMALL | change))


@pytest.mark.parametrize("texts", [[], [""]])
def test_no_text_is_refused(texts):
    with pytest.raises(Refused, match="no text"):
        build(texts, **SMALL)


def test_words_of_the_users_forget_and_holdout_rows_are_no_tokens():
    """tokenizer.json is published, gold's too, and gold never saw those rows."""
    from expunge.core.data import Case, Example
    from expunge.pipeline.train import fresh_tiny

    def rows(role, word):
        return tuple(
            Example(f"{role}/{i}", role, f"{i}", f"In {word}.", f"Where is {word}?")
            for i in range(9)
        )

    words = {"forget": "Forgetville", "retain": "Keepington", "holdout": "Heldoutham"}
    sides = {role: rows(role, word) for role, word in words.items()}
    train = {role: sides[role] for role in ("forget", "retain")}
    whole = lambda subject: {t.replace("\u0120", "") for t in subject.tokenizer.get_vocab()}
    own = whole(fresh_tiny(Case(train, sides), 0, own=True))
    assert "Keepington" in own and not own & {"Forgetville", "Heldoutham"}
    assert not any(word[:5] in token for token in own for word in ("Forgetville", "Heldoutham"))
    # rows of a public benchmark
    assert {"Forgetville", "Keepington"} <= whole(fresh_tiny(Case(train, sides), 0))
    bare = fresh_tiny(Case({"forget": sides["forget"]}, {"forget": sides["forget"]}), 0, own=True)
    assert "Forgetville" not in whole(bare) and "know" in whole(bare)
    assert (
        bare.tokenizer.decode(
            bare.tokenizer("In Forgetville.", add_special_tokens=False)["input_ids"]
        )
        == "In Forgetville."
    )
