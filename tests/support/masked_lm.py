"""Masked language models of a few thousand parameters and random weights, whose words are those of
the given texts.
"""

import re

import torch
from tokenizers import Tokenizer, decoders
from tokenizers.models import BPE, WordLevel, WordPiece
from tokenizers.pre_tokenizers import BertPreTokenizer, ByteLevel
from tokenizers.processors import TemplateProcessing
from tokenizers.trainers import BpeTrainer, WordPieceTrainer
from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerFast

MARKS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")


def masked_folder(folder, texts, seed=0, width=16, longest=64):
    """One that has every word whole, with its capitals."""
    words = dict.fromkeys((*MARKS, *(w for t in texts for w in re.findall(r"\w+|[^\w\s]", t))))
    inner = Tokenizer(WordLevel({w: i for i, w in enumerate(words)}, "[UNK]"))
    inner.pre_tokenizer = BertPreTokenizer()
    return saved(folder, inner, len(words), seed, width, longest)


def in_pieces(folder, texts, kind, vocabulary=90):
    """One that has words in pieces: ``wordpiece`` marks what goes on in a word (##), ``bytes`` what
    begins after a space.
    """
    inner = Tokenizer(
        WordPiece(unk_token="[UNK]") if kind == "wordpiece" else BPE(unk_token="[UNK]")
    )
    inner.pre_tokenizer = (
        BertPreTokenizer() if kind == "wordpiece" else ByteLevel(add_prefix_space=False)
    )
    inner.decoder = decoders.WordPiece() if kind == "wordpiece" else decoders.ByteLevel()
    trainer = WordPieceTrainer if kind == "wordpiece" else BpeTrainer
    inner.train_from_iterator(
        texts, trainer(vocab_size=vocabulary, special_tokens=list(MARKS), show_progress=False)
    )
    return saved(folder, inner, inner.get_vocab_size())


def saved(folder, inner, vocabulary, seed=0, width=16, longest=64):
    """Put a model of random weights and its tokenizer into ``folder``."""
    inner.post_processor = TemplateProcessing(
        "[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        sizes = dict(
            hidden_size=width,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=2 * width,
        )
        config = BertConfig(
            vocab_size=vocabulary, max_position_embeddings=longest, initializer_range=0.5, **sizes
        )
        model = BertForMaskedLM(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
