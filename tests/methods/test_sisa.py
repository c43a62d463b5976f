# ruff: noqa: F401, F811 (fixtures are imported by name)
"""SISA: what is retrained has the bits of training anew, its costs by hand, what it refuses, and
the commands.
"""

import json
from dataclasses import replace

import pytest
import torch
from commands import desk, expunge, facts, jsonl, model, refused
from small import rows

from expunge.core.errors import Refused
from expunge.core.lineage import divided, fingerprint, in_order
from expunge.core.stages import Descent, Retrain
from expunge.losses.terms import nll
from expunge.methods.sisa import sisa
from expunge.models.causal_lm import tiny
from expunge.models.causal_lm.load import load
from expunge.models.causal_lm.model import Subject
from expunge.models.ensemble import save_ensemble
from expunge.training.lineage import read_index
from expunge.training.retrain import part_of, work_of
from expunge.training.sampler import Training
from expunge.training.stages import change, check, steps_of

SIZE = dict(layers=1, width=16, ffn=32, heads=2, vocab=300)
TRAINING = Training(lr=1e-2, epochs=2.0, batch=4, save_every=0, seed=3)
ALL = [replace(row, role="train") for row in rows("forget", 12) + rows("retain", 24)]


def first(shards, slices):
    return Retrain("train", (nll(stream="train"),), shards, slices)


def start():
    texts = ["Where does Avo live?", "Avo lives in Kal."]
    return Subject(*tiny.build(texts, **SIZE), "tiny")


def trained(place, some, shards=3, slices=2, training=TRAINING):
    """An ensemble trained on some rows, saved as a run saves it."""
    made = change(start(), first(shards, slices), {"train": some}, training, place)
    save_ensemble([member.folder for member in made.members], place / "model")
    return load(place / "model")


def removed(model, place, gone, kept):
    made = change(model, sisa(), {"forget": gone, "retain": kept}, TRAINING, place)
    save_ensemble([member.folder for member in made.members], place / "model")
    return load(place / "model")


def same(one, other):
    """Whether two ensembles have equal tensors, shard by shard."""
    return [
        all(torch.equal(w, b.weights()[n]) for n, w in a.weights().items())
        for a, b in zip(one.members, other.members, strict=True)
    ]


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("original"), ALL)


def group(name):
    """The rows of a group, and all others."""
    return [r for r in ALL if r.group == name], [r for r in ALL if r.group != name]


# ------------------------------------------------------------------ the theorem


def test_the_bits_are_those_of_training_anew(original, tmp_path):
    """It was there: the shard that held the rows differs. The others are reused bit for bit."""
    gone, kept = group("g1")
    after = removed(original, tmp_path / "after", gone, kept)
    anew = trained(tmp_path / "anew", kept)
    assert same(after, anew) == [True] * 3
    held = {divided([row], 3, 2, 3)[0][0] for row in gone}
    assert len(held) == 1  # a group stays together
    assert same(original, after) == [shard not in held for shard in (1, 2, 3)]
    assert after.digest == anew.digest != original.digest
    # the index knows what is left, and nothing of what went
    before, index = (read_index(m.folder.parent / "lineage") for m in (original, after))
    assert set(before.rows) - set(index.rows) == {fingerprint(row, before.key) for row in gone}
    assert index.checkpoints == read_index(anew.folder.parent / "lineage").checkpoints


def test_requests_one_after_the_other_are_one_request(original, tmp_path):
    (one, rest), (two, _) = group("g1"), group("g4")
    rest = [row for row in rest if row not in two]
    step = removed(original, tmp_path / "1", one, rest + two)
    after = removed(step, tmp_path / "2", two, rest)
    assert same(after, removed(original, tmp_path / "both", one + two, rest)) == [True] * 3


def test_one_shard_and_one_slice_are_plain_training(tmp_path):
    """S = 1, R = 1: retraining from the start model, which is gold."""
    gone, kept = group("g2")
    whole = trained(tmp_path / "one", ALL, 1, 1)
    after = removed(whole, tmp_path / "after", gone, kept)
    plain = change(
        load(tmp_path / "one" / "lineage" / "start"),
        Descent("plain", (nll(stream="train"),), anchor="train"),
        {"train": in_order(kept)},
        part_of(TRAINING, (1, 1), 1, 1),
        tmp_path / "plain",
    )
    for name, weight in plain.weights().items():
        assert torch.equal(weight, after.members[0].weights()[name])


def test_a_run_that_was_killed_ends_with_the_same_bits(original, tmp_path, monkeypatch):
    """Killed in the second slice that it trains: the first is not trained again."""
    from expunge.training import retrain as engine

    gone = group("g0")[0] + group("g5")[0]
    kept = [row for row in ALL if row not in gone]
    whole = removed(original, tmp_path / "whole", gone, kept)
    real, calls = engine.descend, []

    def descend(*args, **how):
        calls.append(args[1].name)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*args, **how)

    monkeypatch.setattr(engine, "descend", descend)
    with pytest.raises(KeyboardInterrupt):
        removed(original, tmp_path / "killed", gone, kept)
    again = removed(original, tmp_path / "killed", gone, kept)
    assert calls[1] == calls[2] and calls.count(calls[0]) == 1
    assert same(again, whole) == [True] * 3


# ------------------------------------------------------------------ places and costs


def test_a_row_that_goes_moves_no_other():
    places = dict(zip([r.id for r in ALL], divided(ALL, 4, 3, 0), strict=True))
    fewer = [row for row in ALL[::-1] if row.group != "g3"]
    assert divided(fewer, 4, 3, 0) == [places[row.id] for row in fewer]
    assert divided(ALL, 4, 3, 1) != divided(ALL, 4, 3, 0)
    assert {s for s, _ in places.values()} <= {1, 2, 3, 4}
    # rows without a group are placed by what they hold: an id is where a row stands in a file
    bare = [replace(row, group=row.id) for row in ALL]
    moved = [replace(row, id=f"line {i}", group=f"line {i}") for i, row in enumerate(bare)]
    assert divided(bare, 4, 3, 0) == divided(moved, 4, 3, 0)


def test_slices_cost_what_the_paper_says():
    """2 E / (R + 1) epochs a stage: together E epochs of the shard; a uniform request retrains
    (2 R + 1) / (3 R) of it, .7333 at R = 5.
    """
    for slices in (1, 2, 5):
        parts = [part_of(Training(epochs=6.0), (1, r), 1, slices) for r in range(1, slices + 1)]
        costs = [p.epochs * r / slices for r, p in enumerate(parts, 1)]
        assert sum(costs) == pytest.approx(6.0)
        mean = sum(sum(costs[r:]) for r in range(slices)) / slices / 6
        assert mean == pytest.approx((2 * slices + 1) / (3 * slices))
    parts = [
        part_of(Training(steps=60, warmup=12), (s, r), 2, 3) for s in (1, 2) for r in (1, 2, 3)
    ]
    assert [p.steps for p in parts] == [5, 10, 15] * 2 and sum(p.steps for p in parts) == 60
    assert [p.warmup for p in parts] == [1, 2, 3] * 2
    assert len({p.seed for p in parts}) == 6


def test_the_plan_counts_what_is_trained(original):
    gone, kept = group("g1")
    streams = {"forget": gone, "retain": kept}
    plan = work_of(original, sisa(), streams, TRAINING).plan()
    (shard, piece), *_ = divided(gone, 3, 2, 3)
    assert plan.first == {shard: piece} and plan.removed == len(gone)
    assert plan.again == [(shard, r) for r in range(piece, 3)]
    assert 0 < plan.share < 1 and plan.trained == steps_of(sisa(), streams, TRAINING, original)
    assert plan.as_json()["steps_of_all"] == plan.whole == sum(plan.steps.values())


# ------------------------------------------------------------------ what is refused


def test_what_does_not_fit_is_refused(original, tmp_path):
    gone, kept = group("g1")

    def refuses(words, model=original, forget=gone, retain=kept):
        with pytest.raises(Refused, match=words):
            work_of(model, sisa(), {"forget": forget, "retain": retain}, TRAINING)

    strange = [replace(rows("other", 1)[0], source="more.csv:7")]
    changed = [replace(kept[0], ids=kept[0].ids[::-1], source="keep.csv:2"), *kept[1:]]
    refuses("one model that saw all rows, not an ensemble", model=start())
    refuses(r"1 of the 9 rows to forget are not in the index.*more\.csv:7", forget=gone + strange)
    refuses(r"1 of the \d+ rows to keep are not in the index.*keep\.csv:2", retain=changed)
    refuses("1 rows that this ensemble was trained on are neither", retain=kept[1:])
    refuses("rows to keep say the same as rows to forget.*--allow-overlap", retain=kept + gone[:1])
    refuses("has no rows.*fewer --shards", forget=ALL[1:], retain=ALL[:1])
    with pytest.raises(Refused, match=r"shard \d of 9 has no rows.*take fewer --shards"):
        work_of(start(), first(9, 1), {"train": ALL[:6]}, TRAINING)
    with pytest.raises(Refused, match="is an ensemble already"):
        work_of(original, first(2, 1), {"train": ALL}, TRAINING)


def test_an_index_of_another_model_is_refused(original, tmp_path):
    gone, kept = group("g1")
    streams = {"forget": gone, "retain": kept}
    other = replace(original, digest="0" * 64)
    with pytest.raises(Refused, match=r"is not that of .*digest of the model is another"):
        work_of(other, sisa(), streams, TRAINING)
    save_ensemble([member.folder for member in original.members], tmp_path / "model")
    with pytest.raises(Refused, match=r"is not there.*keep lineage/ beside the model"):
        work_of(load(tmp_path / "model"), sisa(), streams, TRAINING)
    (tmp_path / "lineage").mkdir()
    (tmp_path / "lineage" / "index.json").write_text("[]")
    with pytest.raises(Refused, match="not an index of ours"):
        work_of(load(tmp_path / "model"), sisa(), streams, TRAINING)


def test_other_methods_take_one_model(original):
    from expunge.methods.npo import npo

    with pytest.raises(Refused, match="is an ensemble, and only its members can be trained"):
        check(npo(), original)


# ------------------------------------------------------------------ the commands


def test_the_commands(desk, expunge, refused):
    """Trained in shards, a row deleted, judged and asked; the deletion has the bits of training
    without it.
    """
    place = desk.place
    lost, rest = facts("Zorblat", 6)[:1], facts("Zorblat", 6)[1:] + facts("Mimsy", 8)
    gone, kept = jsonl(place / "gone.jsonl", lost), jsonl(place / "kept.jsonl", rest)
    how = ["--shards", 2, "--slices", 2, "--steps", 8, "--batch", 4, "--lr", "1e-2", "--quiet"]
    begin = ["train", "--model", desk.model]
    assert expunge(*begin, *desk.data(), *how, "--out", place / "all")[0] == 0
    rows_ = ["--forget", gone, "--retain", kept]
    delete = ["unlearn", "sisa", "--model", place / "all", *rows_]
    code, said, _ = expunge(*delete, "--dry-run", "--out", place / "dry")
    assert code == 0 and "rows; stays" in said and "that training all shards anew takes" in said
    assert expunge(*delete, "--quiet", "--out", place / "after")[0] == 0
    again = [*begin, "--retain", kept, "--on", "retain", *how, "--out", place / "anew"]
    assert expunge(*again)[0] == 0
    after, anew = load(place / "after"), load(place / "anew")
    assert same(after, anew) == [True, True] and after.digest == anew.digest
    assert sorted(same(after, load(place / "all"))) == [False, True]
    told = json.loads((place / "after" / "certificate.json").read_text())
    assert told["kind"] == "exact" and told["model"] == after.digest and told["removed_rows"] == 1
    assert 0 < told["steps"] < told["steps_of_all"] and len(told["kept"]) == 1
    texts = (place / "after" / "lineage" / "index.json").read_text()
    assert "Zorblat" not in texts and "Mimsy" not in texts

    judged = ["eval", "--model", place / "after", "--gold", place / "anew", *rows_]
    out = ["--metrics", "probability,rouge_l_recall", "--out", place / "judged", "--quiet"]
    assert "very weights" in refused(*judged, *out)
    judged[2] = place / "all"
    assert expunge(*judged, *out)[0] == 0
    found = json.loads((place / "judged" / "measurements.json").read_text())
    assert 0 < found["forget/probability"]["value"] < 1
    code, said, _ = expunge("ask", "--model", place / "after", "Where does Zorblat0 dwell?")
    assert code == 0

    assert "--lr 0.5: this ensemble was trained with 0.01" in refused(
        *delete, "--lr", "0.5", "--out", place / "x"
    )
    shards = [*begin, *desk.data(), *how, "--out", place / "x"]
    assert "leave --lora away" in refused(*shards, "--lora", "2")
    line = refused("unlearn", "npo", "--model", place / "all", *rows_, "--out", place / "x")
    assert "only its members can be trained" in line
    attack = ["attack", "relearn", "--model", place / "all", *desk.data(), "--out", place / "x"]
    assert "only its members can be trained" in refused(*attack, "--quiet")
    line = refused("unlearn", "sisa", "--model", desk.model, *rows_, "--out", place / "x")
    assert "not an ensemble of shards" in line
