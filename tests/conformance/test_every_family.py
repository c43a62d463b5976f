"""What every family of models owes: rows go in and scores come out, the same alone and together;
what is saved is read again to the bit; what it cannot do is refused in one line.
"""

import numpy as np
import pytest
import torch

from expunge.core.data import Example, Picture
from expunge.core.errors import Refused
from expunge.models.families.find import (
    FAMILIES,
    check_alike,
    family_for,
    family_of,
    load,
    named,
    save,
)

CLOSE = {"atol": 1e-5, "rtol": 1e-4}


def texts(n):
    names = ("Ilva", "Tove", "Siv", "Marn")
    return [
        Example(f"t/{i}", "forget", f"t/{i}", f"{names[i % 4]} keeps {i} hens.", f"Who has {i}?")
        for i in range(n)
    ]


def pictures(n):
    draw = np.random.default_rng(0)
    rows = []
    for i in range(n):
        pixels = draw.integers(0, 256, 64, dtype=np.uint8).tobytes()
        rows.append(
            Example(f"p/{i}", "forget", f"p/{i}", "abc"[i % 3], media=Picture(8, 8, 1, pixels))
        )
    return rows


# family -> some rows that its models read; a new family adds its own
ROWS = {"causal_lm": texts, "image_classifier": pictures}
NAMES = [family.name for family in FAMILIES]


@pytest.fixture(scope="module")
def made():
    """``made(name)``: a fresh model of a family, the examples that it was made for, their rows."""
    kept = {}

    def get(name):
        if name not in kept:
            examples = ROWS[name](6)
            model = named(name).fresh(examples, examples, 0)
            kept[name] = model, examples, model.encode(examples)
        return kept[name]

    return get


def test_every_family_is_held_to_this():
    assert set(NAMES) == set(ROWS)


@pytest.mark.parametrize("name", NAMES)
def test_its_rows_are_its_own(name):
    assert family_for(ROWS[name](2)).name == name
    assert named(name).capabilities >= {"score", "gradient", "weights"}


@pytest.mark.parametrize("name", NAMES)
def test_every_example_becomes_a_row_whose_scored_positions_are_packed(name, made):
    model, examples, rows = made(name)
    assert model.family == name and model.capabilities <= named(name).capabilities
    assert [row.id for row in rows] == [e.id for e in examples]
    batch = model.pack(rows)
    scored = [sum(row.scored) for row in rows]
    assert min(scored) >= 1 and len(batch.labels) == sum(scored)
    assert batch.at[0].tolist() == [i for i, n in enumerate(scored) for _ in range(n)]
    assert batch.labels.tolist() == [label for row in rows for label in row.answer_ids]
    assert batch.table(torch.ones(sum(scored))).sum(1).tolist() == scored
    model.check_rows(rows)


@pytest.mark.parametrize("name", NAMES)
def test_a_row_alone_says_what_it_says_among_others(name, made):
    model, _, rows = made(name)
    with model.evaluating():
        together = model.forward(model.pack(rows)).logits
        alone = torch.cat([model.forward(model.pack([row])).logits for row in rows])
    assert together.shape[1] == model.vocab
    torch.testing.assert_close(together, alone, **CLOSE)


@pytest.mark.parametrize("name", NAMES)
def test_predictions_are_those_of_a_forward_and_of_scoring(name, made):
    model, _, rows = made(name)
    batch, logits = model.predict(rows)
    with model.evaluating():
        plain = model.forward(model.pack(rows)).logits
        found = list(model.scored(rows))
    assert torch.equal(batch.labels, model.pack(rows).labels) and not logits.requires_grad
    assert torch.equal(logits, plain)
    own = dict(zip(rows, logits.split([sum(row.scored) for row in rows]), strict=True))
    assert sorted(row.id for some in found for row in some.rows) == sorted(r.id for r in rows)
    for some in found:
        torch.testing.assert_close(some.logits, torch.cat([own[r] for r in some.rows]), **CLOSE)


@pytest.mark.parametrize("name", NAMES)
def test_its_blocks_and_its_head_are_seen_and_gradients_flow(name, made):
    model = made(name)[0].copy()
    rows = made(name)[2]
    out = model.forward(model.pack(rows), keep_last=True, layers=range(model.depth))
    assert sorted(out.hidden) == list(range(model.depth))
    assert all(len(states) == len(out.logits) for states in out.hidden.values())
    torch.testing.assert_close(model.head(rows)(out.last), out.logits, atol=1e-4, rtol=1e-4)
    out.logits.sum().backward()
    assert any(w.grad is not None and w.grad.abs().sum() > 0 for w in model.trained().values())


@pytest.mark.parametrize("name", NAMES)
def test_what_is_saved_is_read_again_to_the_bit(name, made, tmp_path):
    model, _, rows = made(name)
    save(model, tmp_path / "model", "a card")
    assert family_of(tmp_path).name == family_of(tmp_path / "model").name == name
    again = load(tmp_path, device="cpu")
    assert type(again) is type(model) and again.digest
    assert list(again.weights()) == list(model.weights())
    assert again.fingerprint() == model.fingerprint()
    assert torch.equal(again.predict(rows)[1], model.predict(rows)[1])
    check_alike("one", model, "other", again)
    again.without_origin()
    pairs = list(again.changed_from(again.folder))
    assert pairs and all(torch.equal(before, after) for before, after in pairs)


@pytest.mark.parametrize("name", NAMES)
def test_another_weight_is_another_model(name, made, tmp_path):
    model = made(name)[0]
    other = model.copy()
    names = list(other.weights())
    next(iter(other.weights().values())).view(-1)[0] += 1
    assert list(other.weights()) == names and other.fingerprint() != model.fingerprint()
    assert other.without_origin().folder is None and not other.without_origin().digest
    digests = set()
    for i, some in enumerate((model, other, model)):
        digests.add(load(save(some, tmp_path / str(i) / "model"), device="cpu").digest)
    assert len(digests) == 2
    assert model.decided() == other.decided()


@pytest.mark.parametrize("name", NAMES)
def test_training_one_part_leaves_the_others(name, made):
    model = made(name)[0].copy()
    some = next(iter(model.weights()))
    model.select(f"^{some.replace('.', '[.]')}$")
    assert list(model.trained()) == [some]
    with pytest.raises(Refused):
        model.select("^there is no such weight$")


@pytest.mark.parametrize("name", NAMES)
def test_what_it_cannot_do_is_refused_in_one_line(name, made):
    model, examples, _ = made(name)
    lacking = {
        "generate": lambda: model.generate([[1]], [1]),
        "text": lambda: model.prompt_of(examples[0], max_length=128),
        "adapter": lambda: model.adaptable(""),
    }
    for capability, asked in lacking.items():
        if capability in model.capabilities:
            asked()
            continue
        with pytest.raises(Refused) as found:
            asked()
        assert "\n" not in str(found.value) and len(str(found.value)) > 20


@pytest.mark.parametrize("name", NAMES)
def test_rows_of_another_family_are_refused_in_one_line(name, made):
    for other in set(NAMES) - {name}:
        with pytest.raises(Refused) as found:
            made(name)[0].encode(ROWS[other](1))
        assert "\n" not in str(found.value)
