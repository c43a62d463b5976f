"""Image classifiers: what a picture becomes, what is saved and read again, what is refused."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import ResNetConfig, ResNetForImageClassification

from expunge.core.data import Example, Picture
from expunge.core.errors import Refused
from expunge.core.stages import Descent
from expunge.data.images import picture_of
from expunge.losses.terms import nll
from expunge.models.families.find import check_alike, family_for, load, save
from expunge.models.image_classifier import tiny
from expunge.models.image_classifier.family import hold_batch_norms
from expunge.models.image_classifier.model import ImageClassifier
from expunge.models.image_classifier.pixels import Reading, pixels_of
from expunge.training.sampler import Training
from expunge.training.trainer import descend


def pictures(n=6, side=8, classes="abc"):
    draw = np.random.default_rng(0)
    rows = []
    for i in range(n):
        pixels = draw.integers(0, 256, (side, side), dtype=np.uint8)
        rows.append(
            Example(
                f"x/{i}", "forget", f"x/{i}", classes[i % len(classes)], media=picture_of(pixels)
            )
        )
    return rows


def resnet():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = ResNetConfig(
            num_channels=1,
            embedding_size=8,
            hidden_sizes=[8, 16],
            depths=[1, 1],
            layer_type="basic",
            num_labels=3,
            id2label=dict(enumerate("abc")),
            label2id={"a": 0, "b": 1, "c": 2},
        )
        model = ResNetForImageClassification(config).eval()
    hold_batch_norms(model)
    return ImageClassifier(model, Reading((8, 8), 1, (0.5,), (0.5,)), "resnet")


MODELS = {"vit": lambda: tiny.build(pictures(), 0), "resnet": resnet}


def test_pixels_are_scaled_and_centered():
    gray = Picture(1, 2, 1, bytes([0, 255]))
    found = pixels_of([gray], Reading(None, 3))
    assert found.shape == (1, 3, 1, 2)
    assert found[0, 0].tolist() == [[-1.0, 1.0]] and torch.equal(found[0, 0], found[0, 2])
    color = Picture(1, 1, 3, bytes([0, 255, 255]))
    reading = Reading(None, 1, (0.0,), (1.0,))
    assert pixels_of([color], reading).item() == pytest.approx(2 / 3)
    mixed = pixels_of([gray, Picture(2, 2, 1, bytes(4))], Reading((2, 2), 1, (0.0,), (1.0,)))
    assert mixed.shape == (2, 1, 2, 2) and mixed[1].abs().max() == 0
    with pytest.raises(Refused, match="2 sizes"):
        pixels_of([gray, Picture(2, 2, 1, bytes(4))], Reading(None))


def test_a_picture_has_as_many_bytes_as_pixels():
    with pytest.raises(ValueError, match="as many bytes"):
        Picture(2, 2, 1, bytes(3))


@pytest.mark.parametrize("name", MODELS)
def test_a_row_is_one_scored_class(name):
    model = MODELS[name]()
    rows = model.encode(pictures())
    batch = model.pack(rows)
    assert [row.text for row in rows] == list("abcabc") and batch.labels.tolist() == [0, 1, 2] * 2
    out = model.forward(batch, keep_last=True, layers=range(model.depth))
    assert out.logits.shape == (6, 3) and len(out.hidden) == model.depth
    assert torch.allclose(model.head(rows)(out.last), out.logits, atol=1e-5)
    assert batch.table(out.logits).shape == (6, 1, 3)
    other = replace(rows[0], labels=(0, 2))
    assert model.pack([other]).labels.tolist() == [2]


@pytest.mark.parametrize("name", MODELS)
def test_in_training_a_picture_does_not_depend_on_those_beside_it(name):
    model = MODELS[name]()
    rows = model.encode(pictures())
    model.module.train()
    together = model.forward(model.pack(rows)).logits
    alone = torch.cat([model.forward(model.pack([row])).logits for row in rows])
    assert torch.allclose(together, alone, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_what_is_saved_is_read_again(name, tmp_path):
    model = MODELS[name]()
    save(model, tmp_path / "model", "a card")
    again = load(tmp_path, device="cpu")
    rows = model.encode(pictures())
    assert torch.equal(again.predict(rows)[1], model.predict(rows)[1])
    assert again.family == "image_classifier" and again.digest and again.reading == model.reading
    assert all(torch.equal(a, b) for a, b in again.changed_from(again.folder))
    check_alike("one", model, "other", again)


def test_what_is_not_the_model_is_refused(tmp_path):
    save(tiny.build(pictures(), 0), tmp_path / "model")
    settings = tmp_path / "model" / "config.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"hidden_size": 32}))
    with pytest.raises(Refused):
        load(tmp_path, device="cpu")


def test_what_a_classifier_cannot_do_is_refused_in_one_line():
    model = tiny.build(pictures(), 0)
    text = Example("t", "forget", "t", "a", "Which letter?", source="rows.jsonl:1")
    with pytest.raises(Refused, match=r"rows.jsonl:1 is a text, and tiny is an image classifier"):
        model.encode([text])
    with pytest.raises(Refused, match="no class 'd'; its classes are a, b, c"):
        model.encode([replace(pictures()[0], answer="d")])
    with pytest.raises(Refused, match="does not write"):
        model.generate([[1]], [1])
    with pytest.raises(Refused, match="--lora"):
        model.adaptable("")
    with pytest.raises(Refused, match="other classes than one"):
        check_alike("one", model, "other", tiny.build(pictures(classes="abd"), 0))


def test_rows_say_which_family_reads_them():
    assert family_for(pictures()).name == "image_classifier"
    assert family_for([Example("t", "forget", "t", "a", "b")]).name == "causal_lm"


@pytest.mark.parametrize("name", MODELS)
def test_a_training_that_was_cut_off_ends_with_the_same_bits(name, tmp_path):
    stage = Descent("learn", (nll("forget"),))
    training = Training(lr=1e-2, steps=6, batch=3, save_every=3)

    def trained(place):
        model = MODELS[name]()
        descend(model, stage, {"forget": model.encode(pictures())}, training, place)
        return model.fingerprint()

    whole = trained(tmp_path / "a")
    assert whole != MODELS[name]().fingerprint()
    shutil.rmtree(tmp_path / "a" / "checkpoint-6")
    assert trained(tmp_path / "a") == whole
