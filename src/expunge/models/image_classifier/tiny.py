"""A tiny image classifier with random weights, made for the pictures of a case."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import ViTConfig, ViTForImageClassification

from expunge.core.data import Example, Picture
from expunge.core.errors import Refused
from expunge.models.image_classifier.model import ImageClassifier
from expunge.models.image_classifier.pixels import Reading
from expunge.models.modules import digest_tensors

LR = 2e-3  # with which it learns from scratch
SIDE = 4  # patches of a side
WIDTH, LAYERS, HEADS = 64, 3, 4


def build(examples: Sequence[Example], seed: int) -> ImageClassifier:
    """A vision transformer of some 100,000 parameters for these pictures and their classes.

    A transformer normalizes each picture by itself; a batch norm would let a picture's loss depend
    on those beside it.

    Args:
        examples: Pictures of all roles: a model that will never see some of them has the same
            classes as one that will, and can be compared with it.
        seed: Of the weights; the global generator stays as it was.

    Raises:
        Refused: There is no picture, or only one class.
    """
    pictures = [e.media for e in examples if isinstance(e.media, Picture)]
    classes = sorted({e.answer for e in examples if isinstance(e.media, Picture)})
    if not pictures or len(classes) < 2:
        raise Refused("a tiny image classifier is made of pictures of two classes at least")
    side, channels = max(pictures[0].height, pictures[0].width), pictures[0].channels
    patch = -(-side // SIDE)
    config = ViTConfig(
        image_size=patch * SIDE,
        patch_size=patch,
        num_channels=channels,
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        num_labels=len(classes),
        id2label=dict(enumerate(classes)),
        label2id={name: i for i, name in enumerate(classes)},
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = ViTForImageClassification(config).eval()
    half = (0.5,) * channels
    reading = Reading((patch * SIDE, patch * SIDE), channels, half, half)
    return ImageClassifier(model, reading, "tiny", None, digest_tensors(model))
