"""Every pass is made at most once: for all metrics together, and for a second run; what is kept and
no longer right is made again.
"""

from contextlib import contextmanager

import numpy as np
import pytest
from asking import asks
from evaluation.observations.test_hidden_states import made
from record_fields import every_field

from expunge import registry
from expunge.core.card import Call
from expunge.core.data import Example
from expunge.core.errors import Refused
from expunge.data.options import with_options
from expunge.evaluation import cache, store
from expunge.evaluation import observe as passes
from expunge.evaluation.cache import measured
from expunge.evaluation.cache_parts import parts_of
from expunge.evaluation.metric import wants_of
from expunge.evaluation.needs import observations
from expunge.evaluation.observations import generation
from expunge.evaluation.observations.activation_patching import ActivationPatching
from expunge.evaluation.observations.base import Cost, References
from expunge.evaluation.observations.choice_states import ChoiceStates
from expunge.evaluation.observations.extraction import Extraction
from expunge.evaluation.observations.few_shot_prefix import FewShotPrefix
from expunge.evaluation.observations.gold_divergence import GoldDivergence
from expunge.evaluation.observations.gradient_norm import GradientNorm
from expunge.evaluation.observations.hidden_states import HiddenStates
from expunge.evaluation.observations.logit_lens import LogitLens
from expunge.evaluation.observations.sampling import Sampling
from expunge.evaluation.observations.teacher_forced import lowered, score
from expunge.evaluation.observe import measure
from expunge.models.causal_lm.modules import blocks
from expunge.pipeline.settings import judge


def rows_of(role):
    beside = {"perturbed/0": f"At Lake of {role}.", "paraphrase": "By the River."}
    more = {"variants": beside, "options": ("Yes", "No"), "right": 0}
    return tuple(
        Example(
            f"{role}{i}",
            role,
            f"{role}{i % 3}",
            f"In Town{i} by the River.",
            f"Where is Person{i}?",
            **more,
        )
        for i in range(6)
    )


ROLES = {"forget": rows_of("forget"), "holdout": rows_of("holdout")}
EVERY = (
    ActivationPatching(),
    ChoiceStates(0.5),
    Extraction(2),
    FewShotPrefix(2),
    GoldDivergence(),
    GradientNorm(),
    HiddenStates((0.5,)),
    LogitLens(),
    Sampling(2),
)
ALL = {"forget": asks(("answer", "lower", "perturbed/"), True, True, "all", observations=EVERY)}
PARTS = [name for name, _ in parts_of(ALL["forget"])]


@pytest.fixture(scope="module")
def subject():
    return made(0)


@pytest.fixture(scope="module")
def beside():
    return References(made(1), made(2))


@contextmanager
def forwards(*subjects):
    """How many forwards these models make within it: a list of one entry each."""
    seen = []
    handles = [
        blocks(s.model)[0].register_forward_hook(lambda *_: seen.append(1)) for s in subjects
    ]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def ask(subject, beside, wants=ALL):
    return measured(subject, ROLES, wants, references=beside, salt="s", max_new_tokens=4)


def same(a, b):
    assert [(r.role, r.id, r.variant) for r in a] == [(r.role, r.id, r.variant) for r in b]
    for x, y in zip(a, b, strict=True):
        mine, theirs = every_field(x), every_field(y)
        assert mine.keys() == theirs.keys()
        for name, one in mine.items():
            assert (
                np.allclose(one, theirs[name], atol=1e-5)
                if isinstance(one, np.ndarray)
                else one == theirs[name]
            ), name


def every_metric():
    """All metrics of the catalogue on both roles, as far as they do not ask for one pass in two
    ways.
    """
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


def test_all_metrics_together_make_each_pass_once_a_row(subject, beside, monkeypatch):
    """The rows that each pass is given: none of them twice, however many metrics read it."""
    given = {}

    def noted(module, name, rows_at):
        real = getattr(module, name)

        def wrapped(*args, **kwargs):
            given.setdefault(name, []).extend((r.role, r.id, r.variant) for r in args[rows_at])
            return real(*args, **kwargs)

        monkeypatch.setattr(module, name, wrapped)

    def noted_observation(cls):
        real = cls.run

        def wrapped(self, model, inputs, references):
            given.setdefault(cls.name, []).extend((r.role, r.id, r.variant) for r in inputs.answers)
            return real(self, model, inputs, references)

        monkeypatch.setattr(cls, "run", wrapped)

    noted(passes, "score", 1)
    noted(generation, "write", 1)
    for cls in observations().values():
        noted_observation(cls)
    judges = every_metric()
    measure(subject, ROLES, wants_of(judges, list(ROLES)), references=beside, max_new_tokens=4)
    assert len(judges) > 60
    # whose model is not there
    absent = {"masked_neighbors", "generation"}  # the latter runs for all roles at once
    assert set(given) == {"score", "write", *observations()} - absent
    for name, rows in given.items():
        if observations().get(name, Sampling).of_answers:
            assert rows and len(rows) == len(set(rows)), name


def test_roles_and_shared_passes_meet_in_the_same_batches(subject):
    """Answers, other texts, options and prompts of two roles: as many forwards as all rows need
    that are scored together, and all prompts that are answered together.
    """
    one = asks(("answer", "lower", "perturbed/"), write=True, options="all")
    wants = dict.fromkeys(ROLES, one)
    measure(subject, ROLES, wants, max_new_tokens=4)  # what is tried once per model is tried here
    with forwards(subject) as seen:
        found = measure(subject, ROLES, wants, max_new_tokens=4)
    rows = []
    for role in ROLES.values():
        rows += subject.encode(lowered(role), variants=("answer", "lower", "perturbed/"))
    for role in ROLES.values():
        rows += subject.encode_options(with_options(role))
    cost = Cost()
    with forwards(subject) as least:
        reads = score(subject, rows, moments=lambda row: False, tick=lambda n: None, cost=cost)
        asked = [row for row in rows if row.variant == "answer"]
        known = [reads[row.role, row.id, row.variant] for row in asked]
        generation.write(subject, asked, known, [4] * len(asked), lambda n: None, cost)
    assert len(seen) == len(least) < len(rows)
    assert (found.cost.rows, found.cost.tokens) == (len(rows), cost.tokens)
    assert (found.cost.generated, found.cost.spared) == (cost.generated, cost.spared)


def test_a_second_run_of_every_pass_makes_no_forward(subject, beside, tmp_path, monkeypatch):
    monkeypatch.setenv("EXPUNGE_CACHE", str(tmp_path))
    with forwards(subject, beside.original, beside.gold) as seen:
        first, _ = ask(subject, beside)
        assert seen
        seen.clear()
        again, cost = ask(subject, beside)
        assert cost is None and not seen
    same(first, again)


@pytest.mark.parametrize("part", PARTS)
def test_a_pass_alone_is_found_in_what_a_run_of_all_has_kept(
    part, subject, beside, tmp_path, monkeypatch
):
    monkeypatch.setenv("EXPUNGE_CACHE", str(tmp_path))
    alone = dict(parts_of(ALL["forget"]))[part]
    wants = {"forget": alone | asks()}
    ask(subject, beside)
    with forwards(subject, beside.original, beside.gold) as seen:
        found, cost = ask(subject, beside, wants)
    assert cost is None and not seen and len(found.of("forget")) == 6


@pytest.mark.parametrize("observation", EVERY, ids=lambda o: o.name)
def test_an_optional_pass_asked_for_later_leaves_the_two_passes_alone(
    observation, subject, beside, tmp_path, monkeypatch
):
    """Continuations alone read the answers again: they begin where the arg-max ids of that reading
    end, and those are not kept.
    """
    monkeypatch.setenv("EXPUNGE_CACHE", str(tmp_path))
    later = {"forget": asks(write=True, observations=(observation,))}
    ask(subject, beside, {"forget": asks(write=True)})
    found, cost = ask(subject, beside, later)
    assert cost.more and (cost.rows, cost.written) == (
        6 if observation.name == "extraction" else 0,
        0,
    )
    salt = cache.salt_for(tmp_path)
    monkeypatch.delenv("EXPUNGE_CACHE")
    same(found, measured(subject, ROLES, later, references=beside, salt=salt, max_new_tokens=4)[0])


# ----------------------------------------------------------------- what is kept and no longer right


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


@pytest.mark.parametrize(
    "harm", [damaged, other_words, cut_off, killed_while_written, of_another_salt]
)
def test_every_kept_pass_that_is_not_whole_is_made_again(
    harm, subject, beside, tmp_path, monkeypatch, spoken
):
    monkeypatch.setenv("EXPUNGE_CACHE", str(tmp_path))
    first, _ = ask(subject, beside)
    assert len(entries(tmp_path)) == len(PARTS) and not spoken()
    harm(tmp_path)
    again, cost = ask(subject, beside)
    said = spoken()
    assert cost is not None and len(said) == 1 and said[0].endswith(f"made again: {len(PARTS)}")
    if harm is not of_another_salt:
        same(first, again)
    assert ask(subject, beside)[1] is None and not spoken()  # whole again


def test_passes_of_another_model_moved_into_place_are_not_taken(
    subject, beside, tmp_path, monkeypatch, spoken
):
    """Whole folders that answer to another key: every file of them is as it was written."""
    monkeypatch.setenv("EXPUNGE_CACHE", str(tmp_path))
    other = made(3)
    settings = {"max_new_tokens": 4, "max_length": 512}
    first, _ = ask(subject, beside)
    ask(other, beside)
    for _, want in parts_of(ALL["forget"]):
        mine, theirs = (
            tmp_path
            / "passes"
            / cache.key_of(s, ROLES, {"forget": want}, settings, references=beside)
            for s in (subject, other)
        )
        mine.rename(tmp_path / "away")
        theirs.rename(mine)
        (tmp_path / "away").rename(theirs)
    again, _ = ask(subject, beside)
    assert f"made again: {len(PARTS)}" in spoken()[-1]
    same(first, again)


def test_records_of_another_schema_are_made_again(subject, beside, tmp_path, monkeypatch, spoken):
    monkeypatch.setenv("EXPUNGE_CACHE", str(tmp_path))
    with monkeypatch.context() as older:
        older.setattr(store, "SCHEMA", 0)
        ask(subject, beside)
    again, cost = ask(subject, beside)
    assert cost is not None and f"made again: {len(PARTS)}" in spoken()[-1]
    with pytest.raises(
        Refused, match=f"records of schema 0, and this version reads {store.SCHEMA}"
    ):
        with monkeypatch.context() as older:
            older.setattr(store, "SCHEMA", 0)
            store.write_records(again, tmp_path / "old.parquet")
        store.read_records(tmp_path / "old.parquet")


def test_passes_of_older_code_are_not_asked(subject, beside, tmp_path, monkeypatch):
    monkeypatch.setenv("EXPUNGE_CACHE", str(tmp_path))
    ask(subject, beside, {"forget": asks()})
    monkeypatch.setattr(cache, "CODE", cache.CODE + 1)
    assert ask(subject, beside, {"forget": asks()})[1] is not None


def test_two_processes_that_keep_the_same_do_not_meet(subject, beside, tmp_path, monkeypatch):
    """The second finds the place taken when it moves its own in."""
    monkeypatch.setenv("EXPUNGE_CACHE", str(tmp_path))
    first, _ = ask(subject, beside, {"forget": asks()})
    (entry,) = entries(tmp_path)
    # taken again between making room and moving in
    monkeypatch.setattr(cache.shutil, "rmtree", lambda place, **_: None)
    cache._keep(first, entry, cache.salt_for(tmp_path))
    assert ask(subject, beside, {"forget": asks()})[1] is None
