"""A real Llama of about a million parameters with a byte-level BPE made on the spot: what the demo
and the tests train.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from expunge.core.errors import Refused

PAD, BOS, EOS = "<|pad|>", "<|bos|>", "<|eos|>"
ROLES = ("<|system|>", "<|user|>", "<|assistant|>")
LR = 3e-3  # AdamW's learning rate with which it learns from random weights
SMALLEST_VOCAB = 256 + 3 + len(ROLES)  # every byte and every special token
# bos, then for each message: its role's marker, its content, eos; a prompt ends with the
# assistant's marker
CHAT = (
    "{{ bos_token }}{% for message in messages %}{{ '<|' + message['role'] + '|>' + "
    "message['content'] + eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def build(
    texts: Iterable[str],
    *,
    seed: int = 0,
    layers: int = 4,
    width: int = 128,
    ffn: int = 384,
    vocab: int = 1024,
    heads: int = 4,
    max_length: int = 256,
) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
    """An untrained Llama and a tokenizer learned from ``texts``: float32, on the CPU.

    ``texts``: prompts and answers; their order does not matter. ``seed`` decides the weights and
    nothing else. ``layers, width, ffn, heads``: blocks, hidden width, width of the MLP, attention
    heads. ``vocab``: most tokens that the tokenizer may have (few texts give fewer).
    ``max_length``: positions. Refused: a vocabulary too small for the bytes, a width that the heads
    do not divide, no text.

    >>> model, tokenizer = build(["Where does Avo live?", "Avo lives in Kal."], layers=1, width=16, ffn=32, vocab=300, heads=2)
    >>> model.num_parameters() < 10_000, tokenizer.eos_token
    (True, '<|eos|>')
    """
    if width % heads or (width // heads) % 2:
        raise Refused(
            f"tiny: width {width} does not give {heads} heads of an even width; take a multiple of "
            f"{2 * heads}"
        )
    fast = tokenizer(texts, vocab=vocab, max_length=max_length)
    config = LlamaConfig(
        vocab_size=len(fast),
        hidden_size=width,
        intermediate_size=ffn,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=max_length,
        tie_word_embeddings=True,
        attention_dropout=0.0,
        bos_token_id=fast.bos_token_id,
        eos_token_id=fast.eos_token_id,
        pad_token_id=fast.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
    ends = {
        "bos_token_id": fast.bos_token_id,
        "eos_token_id": fast.eos_token_id,
        "pad_token_id": fast.pad_token_id,
    }
    model.generation_config = GenerationConfig(do_sample=False, **ends)
    return model.float().eval(), fast


def tokenizer(
    texts: Iterable[str], *, vocab: int = 1024, max_length: int = 256
) -> PreTrainedTokenizerFast:
    """A byte-level BPE over ``texts``, of at most ``vocab`` tokens, with a chat template; any
    string survives encode and decode.

    As a real model's, it puts the beginning-of-sequence token before a plain text, and adds nothing
    where special tokens are declined.
    """
    if vocab < SMALLEST_VOCAB:
        raise Refused(
            f"tiny: a vocabulary of {vocab} does not hold the 256 bytes and the special tokens; "
            f"take at least {SMALLEST_VOCAB}"
        )
    corpus = sorted(set(texts))
    if not any(corpus):
        raise Refused("tiny: no text to learn a tokenizer from; give at least one row")
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,
        special_tokens=[PAD, BOS, EOS, *ROLES],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    bpe.train_from_iterator(corpus, trainer)
    bpe.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", special_tokens=[(BOS, bpe.token_to_id(BOS))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        extra_special_tokens=list(ROLES),
        chat_template=CHAT,
        model_max_length=max_length,
        clean_up_tokenization_spaces=False,
    )
