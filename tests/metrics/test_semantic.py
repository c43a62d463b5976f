"""Meaning: tiny encoders and judges made on the spot, against plain loops; what is unscored without
them.
"""

import io
import json
import shutil
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    PreTrainedTokenizerFast,
)

from expunge.core.errors import Refused
from expunge.core.results import Records
from expunge.evaluation.observations.text_models import Encoder, Judge, of_gibberish, with_meaning
from expunge.metrics.entailment import entailment
from expunge.metrics.gibberish import gibberish
from expunge.metrics.semantic_similarity import semantic_similarity

WORDS = ["she", "lives", "in", "Taipei", "Paris", "born", "1991", "the", "author", "."]
PAIRS = [
    ("she lives in Taipei", "the author lives in Taipei ."),
    ("born 1991", ""),
    ("Paris", "Paris"),
    ("in the", "she"),
]


def saved(folder, model):
    words = {w: i for i, w in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS])}
    inner = Tokenizer(WordLevel(words, "[UNK]"))
    inner.pre_tokenizer = Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


SMALL = dict(
    vocab_size=14,
    hidden_size=16,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=32,
    max_position_embeddings=64,
)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    torch.manual_seed(0)
    return saved(tmp_path_factory.mktemp("encoder"), BertModel(BertConfig(**SMALL)))


@pytest.fixture(scope="module")
def nli(tmp_path_factory):
    torch.manual_seed(0)
    labels = {0: "ENTAILMENT", 1: "neutral", 2: "CONTRADICTION"}
    config = BertConfig(
        **SMALL, id2label=labels, label2id={v: k for k, v in labels.items()}, num_labels=3
    )
    return saved(tmp_path_factory.mktemp("nli"), BertForSequenceClassification(config))


def test_similarity_is_the_cosine_of_mean_pooled_states(encoder):
    own = Encoder(encoder)
    for (a, b), x in zip(PAIRS, own.similar(PAIRS), strict=True):
        vectors = []
        for text in (a, b):
            with torch.no_grad():
                states = (
                    own.model(**own.tokenizer(text, return_tensors="pt")).last_hidden_state[0]
                    if text
                    else torch.zeros(1, 16)
                )
            vectors.append(states.mean(0).double())
        expected = float(torch.nn.functional.cosine_similarity(*vectors, dim=0)) if b else 0.0
        assert x == pytest.approx(expected, abs=1e-5)  # alone, without padding
    assert own.similar([("Paris", "Paris")])[0] == pytest.approx(1)


def test_entailment_is_a_probability_in_a_direction(nli):
    own = Judge(nli)
    forth, back = own.of(PAIRS), own.of([(b, a) for a, b in PAIRS])
    for (a, b), (entails, contradicts, *first) in zip(PAIRS, forth, strict=True):
        with torch.no_grad():
            p = own.model(**own.tokenizer(a, b, return_tensors="pt")).logits.softmax(-1)[0]
        assert (entails, contradicts) == (
            pytest.approx(float(p[0]), abs=1e-5),
            pytest.approx(float(p[2]), abs=1e-5),
        )
        # the likeliest of all three labels, not one above a half
        assert first == [float(p.argmax() == 0), float(p.argmax() == 2)]
    assert forth[0] != back[0]


def rows_of(row, pairs=PAIRS, role="forget", **kw):
    return Records(row(role, i, answer=a, generated=g, **kw) for i, (a, g) in enumerate(pairs))


def test_records_learn_what_the_models_say(row, encoder, nli):
    plain = rows_of(row)
    assert (
        "--encoder" in semantic_similarity(plain, "forget").reason
        and "--nli" in entailment(plain, "forget").reason
    )
    found = with_meaning(plain, encoder, nli)
    assert semantic_similarity(found, "forget").value == pytest.approx(
        np.mean(Encoder(encoder).similar(PAIRS))
    )
    theirs = Judge(nli).of([(g, a) for a, g in PAIRS])
    assert entailment(found, "forget").value == pytest.approx(
        np.mean([x[0] * bool(g) for x, (_, g) in zip(theirs, PAIRS, strict=True)])
    )
    assert [r.given["entailment"] for r in found][1] == 0  # nothing said entails nothing
    assert [r.given["contradicts"] for r in found] == [
        x[3] * bool(g) for x, (_, g) in zip(theirs, PAIRS, strict=True)
    ]
    back = Judge(nli).of(PAIRS)
    assert [r.given["contradicted_by_answer"] for r in found] == [
        x[3] * bool(g) for x, (_, g) in zip(back, PAIRS, strict=True)
    ]
    assert with_meaning(plain) == plain or [r.given for r in with_meaning(plain)] == [
        r.given for r in plain
    ]


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    """A classifier that calls texts clean if they hold "lives", at any index of that label."""
    torch.manual_seed(0)
    labels = {0: "word salad", 1: "Clean", 2: "noise"}
    config = BertConfig(
        **SMALL, id2label=labels, label2id={v: k for k, v in labels.items()}, num_labels=3
    )
    model = BertForSequenceClassification(config)
    inputs = torch.tensor(
        [[4, 5, 6, 7], [11, 12, 5, 6], [4, 5, 6, 8], [8, 9, 10, 6], [4, 4, 4, 4], [6, 6, 9, 12]]
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(60):
        model(input_ids=inputs, labels=torch.tensor([1, 1, 1, 0, 0, 2])).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return saved(tmp_path_factory.mktemp("detector"), model)


def test_gibberish_is_the_probability_of_the_label_clean(row, detector):
    own = of_gibberish(detector)
    texts = ["she lives in Taipei", "she she she she", "the author lives in Paris ."]
    for text, (clean, _) in zip(texts, own.of(texts), strict=True):
        with torch.no_grad():
            p = own.model(**own.tokenizer(text, return_tensors="pt")).logits.softmax(-1)[0]
        assert clean == pytest.approx(float(p[1]), abs=1e-5)
    said = lambda *texts: (
        gibberish(
            with_meaning(rows_of(row, [("x", t) for t in texts]), gibberish=detector), "forget"
        ).value
    )
    assert said("she lives in Taipei") > 0.9 and said("she she she she") < 0.1
    assert said("", "  ") == 0  # nothing written is not clean language
    assert "--gibberish" in gibberish(rows_of(row), "forget").reason


def test_a_classifier_without_the_label_is_refused(nli):
    with pytest.raises(
        Refused,
        match=r"--gibberish .*: its labels are entailment, neutral, contradiction; it needs clean "
        r"among them",
    ):
        of_gibberish(nli)


def test_names_by_meaning(encoder):
    own = Encoder(encoder)
    # names that have a counterpart, and pairs, as the authors count
    assert own.shares(("Taipei",), ("Taipei", "Taipei"), 0.8) == (1, 2)
    assert own.shares(("Taipei", "1991"), (), 0.8) == (0, 0)


def test_folders_that_are_no_models_are_refused(tmp_path, encoder):
    with pytest.raises(Refused, match=r"--encoder"):
        Encoder(tmp_path)
    with pytest.raises(Refused, match="entail and contradict"):
        from transformers import AutoTokenizer

        config = BertConfig(**SMALL, num_labels=2)
        BertForSequenceClassification(config).save_pretrained(tmp_path)
        AutoTokenizer.from_pretrained(encoder).save_pretrained(tmp_path)
        Judge(tmp_path)


@pytest.mark.parametrize("read", [Encoder, Judge])
def test_code_of_a_judges_folder_never_runs(read, nli, tmp_path, monkeypatch):
    """transformers would ask on standard input, and "y" would do; nobody is asked."""
    place = tmp_path / "evil"
    shutil.copytree(nli, place)
    config = json.loads((place / "config.json").read_text())
    names = {
        "AutoConfig": "evil.C",
        "AutoModel": "evil.M",
        "AutoModelForSequenceClassification": "evil.M",
    }
    (place / "config.json").write_text(
        json.dumps(config | {"auto_map": names, "model_type": "evil"})
    )
    (place / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\ny\ny\n"))
    with pytest.raises(Refused, match="wants to run code of its own"):
        read(place)
    assert not (tmp_path / "ran").exists()


def without(folder, place, part):
    shutil.copytree(folder, place)
    kept = {k: v for k, v in load_file(place / "model.safetensors").items() if part not in k}
    save_file(kept, place / "model.safetensors", metadata={"format": "pt"})
    return place


def test_weights_that_are_missing_are_not_made_up(nli, encoder, tmp_path):
    assert Judge(nli) and Encoder(encoder)
    with pytest.raises(
        Refused, match=r"--nli .* would be random: classifier\.bias, classifier\.weight"
    ):
        Judge(without(nli, tmp_path / "headless", "classifier"))
    with pytest.raises(Refused, match=r"--encoder .* would be random: encoder"):
        Encoder(without(encoder, tmp_path / "hollow", "encoder.layer"))
    # which the mean of the states does not read
    assert Encoder(without(encoder, tmp_path / "unpooled", "pooler"))
    assert Encoder(nli)  # a head more than is read


def test_a_folder_that_is_no_judge_is_one_line(nli, tmp_path):
    shutil.copytree(nli, tmp_path / "broken")
    (tmp_path / "broken" / "config.json").write_text("[]")
    with pytest.raises(Refused, match=r"--nli .*: no model can be read here"):
        Judge(tmp_path / "broken")
