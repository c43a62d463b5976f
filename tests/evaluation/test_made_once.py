"""Every pass is made at most once: for all metrics together, and for a second run; what is kept and no longer right is made again."""

from contextlib import contextmanager
from dataclasses import fields, replace

import numpy as np
import pytest
from evaluation.observations.test_hidden_states import made

from expunge import registry
from expunge.core.card import Call
from expunge.core.data import Example
from expunge.core.errors import Refused
from expunge.evaluation import cache, store
from expunge.evaluation import observe as passes
from expunge.evaluation.cache import measured
from expunge.evaluation.cache_parts import parts_of
from expunge.evaluation.metric import wants_of
from expunge.evaluation.observations import extra
from expunge.evaluation.observations.extra import ChoiceStates, Extraction, Gradients, More, Sampling, Shots, States
from expunge.evaluation.observe import Want, measure
from expunge.models.causal_lm.modules import blocks
from expunge.pipeline.settings import judge


def rows_of(role):
    beside = {"perturbed/0": f"At Lake of {role}.", "paraphrase": "By the River."}
    more = {"variants": beside, "options": ("Yes", "No"), "right": 0}
    return tuple(
        Example(f"{role}{i}", role, f"{role}{i % 3}", f"In Town{i} by the River.", f"Where is Person{i}?", **more) for i in range(6)
    )


ROLES = {"forget": rows_of("forget"), "holdout": rows_of("holdout")}
EVERY = More(Sampling(2), Extraction(2), Gradients(), Shots(2), "all", "all", States((0.5,)), ChoiceStates(0.5), "all")
ALL = {"forget": Want(("answer", "lower", "perturbed/"), True, True, "all", more=EVERY)}
PARTS = [name for name, _ in parts_of(ALL["forget"])]


@pytest.fixture(scope="module")
def subject():
    return replace(made(0), original=made(1), gold=made(2))


@contextmanager
def forwards(*subjects):
    """How many forwards these models make within it: a list of one entry each."""
    seen = []
    handles = [blocks(s.model)[0].register_forward_hook(lambda *_: seen.append(1)) for s in subjects]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def ask(subject, wants=ALL):
    return measured(subject, ROLES, wants, salt="s", max_new_tokens=4)


def same(a, b):
    assert [(r.role, r.id, r.variant) for r in a] == [(r.role, r.id, r.variant) for r in b]
    for x, y in zip(a, b, strict=True):
        for f in fields(x):
            one, other = getattr(x, f.name), getattr(y, f.name)
            assert np.allclose(one, other, atol=1e-5) if isinstance(one, np.ndarray) else one == other, f.name


def every_metric():
    """All metrics of the catalogue on both roles, as far as they do not ask for one pass in two ways."""
    judges = []
    for name in registry.names("metrics"):
        roles = (None,) if registry.member("metrics", name).card.get("whole") else ROLES
        more_ = [judge(Call(name), role) for role in roles]
        try:
            wants_of([*judges, *more_], list(ROLES))
        except Refused:
            continue
        judges += more_
    return judges


def test_all_metrics_together_make_each_pass_once_a_row(subject, monkeypatch):
    """The rows that each pass is given: none of them twice, however many metrics read it."""
    given = {}

    def noted(module, name, rows_at):
        real = getattr(module, name)

        def wrapped(*args, **kwargs):
            given.setdefault(name, []).extend((r.role, r.id, r.variant) for r in args[rows_at])
            return real(*args, **kwargs)

        monkeypatch.setattr(module, name, wrapped)

    for name in ("score", "write"):
        noted(passes, name, 1)
    for name in ("samples", "overlaps", "gradient_norms", "prefixed", "lens", "states", "choice_states"):
        noted(extra, name, 1)
    for name in ("depth", "divergences"):
        noted(extra, name, 2)
    judges = every_metric()
    measure(subject, ROLES, wants_of(judges, list(ROLES)), max_new_tokens=4)
    assert len(judges) > 60 and len(given) == 11
    for name, rows in given.items():
        assert rows and len(rows) == len(set(rows)), name


def test_a_second_run_of_every_pass_makes_no_forward(subject, tmp_path, monkeypatch):
    monkeypatch.setenv("EXPUNGE_CACHE", str(tmp_path))
    with forwards(subject, subject.original, subject.gold) as seen:
        first, _ = ask(subject)
        assert seen
        seen.clear()
        again, cost = ask(subject)
        assert cost is None and not seen
    same(first, again)


@pytest.mark.parametrize("part", PARTS)
def test_a_pass_alone_is_found_in_what_a_run_of_all_has_kept(part, subject, tmp_path, monkeypatch):
    monkeypatch.setenv("EXPUNGE_CACHE", str(tmp_path))
    alone = dict(parts_of(ALL["forget"]))[part]
    wants = {"forget": replace(alone, variants=tuple(dict.fromkeys(("answer", *alone.variants))))}
    ask(subject)
    with forwards(subject, subject.original, subject.gold) as seen:
        found, cost = ask(subject, wants)
    assert cost is None and not seen and len(found.of("forget")) == 6


@pytest.mark.parametrize("name", [f.name for f in fields(More) if getattr(EVERY, f.name) is not None])
def test_an_optional_pass_asked_for_later_leaves_the_two_passes_alone(name, subject, tmp_path, monkeypatch):
    """Continuations alone read the answers again: they begin where the arg-max ids of that reading end, and those are not kept."""
    monkeypatch.setenv("EXPUNGE_CACHE", str(tmp_path))
    later = {"forget": Want(write=True, more=More(**{name: getattr(EVERY, name)}))}
    ask(subject, {"forget": Want(write=True)})
    found, cost = ask(subject, later)
    assert cost.more and (cost.rows, cost.written) == (6 if name == "extraction" else 0, 0)
    salt = cache.salt_for(tmp_path)
    monkeypatch.delenv("EXPUNGE_CACHE")
    same(found, measured(subject, ROLES, later, salt=salt, max_new_tokens=4)[0])


# ------------------------------------------------------------------ what is kept and no longer right


def flip(file):
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 2] ^= 1
    file.write_bytes(bytes(raw))


def entries(place):
    return sorted((place / "passes").iterdir())


def damaged(place):
    for entry in entries(place):
        flip(entry / "records.parquet")


def other_words(place):
    for entry in entries(place):
        (entry / "texts.jsonl").write_text((entry / "texts.jsonl").read_text() + "\n")


def cut_off(place):
    for entry in entries(place):
        raw = (entry / "records.parquet").read_bytes()
        (entry / "records.parquet").write_bytes(raw[: len(raw) // 2])


def killed_while_written(place):
    for entry in entries(place):
        (entry / "done").unlink()


def of_another_salt(place):
    (place / "salt").write_text("0" * 32)


@pytest.mark.parametrize("harm", [damaged, other_words, cut_off, killed_while_written, of_another_salt])
def test_every_kept_pass_that_is_not_whole_is_made_again(harm, subject, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("EXPUNGE_CACHE", str(tmp_path))
    first, _ = ask(subject)
    assert len(entries(tmp_path)) == len(PARTS) and not capsys.readouterr().err
    harm(tmp_path)
    again, cost = ask(subject)
    said = capsys.readouterr().err.splitlines()
    assert cost is not None and len(said) == 1 and said[0].endswith(f"made again: {len(PARTS)}")
    if harm is not of_another_salt:
        same(first, again)
    assert ask(subject)[1] is None and not capsys.readouterr().err  # whole again


def test_passes_of_another_model_moved_into_place_are_not_taken(subject, tmp_path, monkeypatch, capsys):
    """Whole folders that answer to another key: every file of them is as it was written."""
    monkeypatch.setenv("EXPUNGE_CACHE", str(tmp_path))
    other = replace(made(3), original=subject.original, gold=subject.gold)
    settings = {"max_new_tokens": 4, "max_length": 512}
    first, _ = ask(subject)
    ask(other)
    for _, want in parts_of(ALL["forget"]):
        mine, theirs = (tmp_path / "passes" / cache.key_of(s, ROLES, {"forget": want}, settings) for s in (subject, other))
        mine.rename(tmp_path / "away")
        theirs.rename(mine)
        (tmp_path / "away").rename(theirs)
    again, _ = ask(subject)
    assert f"made again: {len(PARTS)}" in capsys.readouterr().err
    same(first, again)


def test_records_of_another_schema_are_made_again(subject, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("EXPUNGE_CACHE", str(tmp_path))
    with monkeypatch.context() as older:
        older.setattr(store, "SCHEMA", 0)
        ask(subject)
    again, cost = ask(subject)
    assert cost is not None and f"made again: {len(PARTS)}" in capsys.readouterr().err
    with pytest.raises(Refused, match=f"records of schema 0, and this version reads {store.SCHEMA}"):
        with monkeypatch.context() as older:
            older.setattr(store, "SCHEMA", 0)
            store.write_records(again, tmp_path / "old.parquet")
        store.read_records(tmp_path / "old.parquet")


def test_passes_of_older_code_are_not_asked(subject, tmp_path, monkeypatch):
    monkeypatch.setenv("EXPUNGE_CACHE", str(tmp_path))
    ask(subject, {"forget": Want()})
    monkeypatch.setattr(cache, "CODE", cache.CODE + 1)
    assert ask(subject, {"forget": Want()})[1] is not None


def test_two_processes_that_keep_the_same_do_not_meet(subject, tmp_path, monkeypatch):
    """The second finds the place taken when it moves its own in."""
    monkeypatch.setenv("EXPUNGE_CACHE", str(tmp_path))
    first, _ = ask(subject, {"forget": Want()})
    (entry,) = entries(tmp_path)
    monkeypatch.setattr(cache.shutil, "rmtree", lambda place, **_: None)  # taken again between making room and moving in
    cache._keep(first, entry, cache.salt_for(tmp_path))
    assert ask(subject, {"forget": Want()})[1] is None
