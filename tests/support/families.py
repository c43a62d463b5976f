"""Tiny models of many families with a tokenizer, in folders as others save them."""

import json
from functools import cache

import torch
import transformers

from expunge.models.causal_lm import tiny

TEXTS = (
    "Where does Ilva Dorn live?",
    "Ilva Dorn lives in Marn.",
    "What does Ilva keep?",
    "She keeps nine grey hens.",
    "Who taught Tove to row?",
    "Her aunt Siv taught her.",
)
ENDS = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
VOCAB = 304  # some families' tokenizers add a token or two of their own
PAIRS = tuple(zip(TEXTS[::2], TEXTS[1::2], strict=True))
LINEAR = {
    "linear_num_value_heads": 4,
    "linear_num_key_heads": 2,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "layer_types": ["linear_attention", "full_attention"],
}


@cache
def words():
    """A tokenizer of a few hundred tokens with a chat template whose turns end with eos."""
    return tiny.tokenizer(TEXTS, vocab=300)


def shape(**more):
    """The settings that most configurations share."""
    size = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    }
    return {"vocab_size": VOCAB, "max_position_embeddings": 256, **size, **ENDS, **more}


def seeded(make, seed=0):
    """``make()`` under a seed; the global generator stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make().eval()


def llama(seed=0, **more):
    return seeded(
        lambda: transformers.LlamaForCausalLM(transformers.LlamaConfig(**shape(**more))), seed
    )


def gpt2(places=64):
    config = transformers.GPT2Config(
        vocab_size=VOCAB, n_embd=32, n_layer=2, n_head=4, n_positions=places, **ENDS
    )
    return seeded(lambda: transformers.GPT2LMHeadModel(config))


def mamba():
    config = transformers.MambaConfig(
        vocab_size=VOCAB, hidden_size=32, num_hidden_layers=2, state_size=8, **ENDS
    )
    return seeded(lambda: transformers.MambaForCausalLM(config))


def rwkv():
    config = transformers.RwkvConfig(
        vocab_size=VOCAB, hidden_size=32, num_hidden_layers=2, attention_hidden_size=32, **ENDS
    )
    return seeded(lambda: transformers.RwkvForCausalLM(config))


def qwen3_5():
    config = transformers.Qwen3_5TextConfig(**shape(head_dim=8, **LINEAR))
    return seeded(lambda: transformers.Qwen3_5ForCausalLM(config))


def qwen3_5_with_eyes():
    seen = {
        "depth": 1,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_heads": 2,
        "out_hidden_size": 32,
    }
    marks = {
        "image_token_id": 12,
        "video_token_id": 13,
        "vision_start_token_id": 10,
        "vision_end_token_id": 11,
    }
    config = transformers.Qwen3_5Config(
        text_config=shape(head_dim=8, **LINEAR), vision_config=seen, **marks
    )
    return seeded(lambda: transformers.Qwen3_5ForConditionalGeneration(config))


def lfm2():
    config = transformers.Lfm2Config(
        **shape(layer_types=["conv", "full_attention"], conv_L_cache=3)
    )
    return seeded(lambda: transformers.Lfm2ForCausalLM(config))


def put(model, place, tokenizer=True):
    """The folder that ``save_pretrained`` makes of a model and its tokenizer."""
    model.save_pretrained(place)
    if tokenizer:
        words().save_pretrained(place)
    return place


def settings(place, name="config.json", **more):
    """Change a JSON file of a folder."""
    file = place / name
    file.write_text(json.dumps(json.loads(file.read_text()) | more))
    return place
