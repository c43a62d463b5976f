"""Kept passes: reused for the very same question, made anew as soon as anything that decides them
differs.
"""

import copy
import json
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
from asking import asks
from record_fields import every_field

from expunge.cli.commands import main
from expunge.core.data import Example
from expunge.core.errors import Refused
from expunge.evaluation import cache as reuse
from expunge.evaluation.cache import clear, key_of, measured
from expunge.evaluation.observations.extraction import Extraction
from expunge.evaluation.observations.few_shot_prefix import FewShotPrefix
from expunge.evaluation.observations.gradient_norm import GradientNorm
from expunge.evaluation.observations.sampling import Sampling
from expunge.models.causal_lm import tiny
from expunge.models.causal_lm.load import digest_folder, load
from expunge.models.causal_lm.model import Subject
from expunge.models.causal_lm.save import save
from expunge.models.deciding import deciding
from expunge.models.modules import digest_tensors

ROWS = {
    "forget": tuple(
        Example(f"r{i}", "forget", f"g{i}", f"In Town{i}.", f"Where is Person{i}?")
        for i in range(4)
    )
}
WANTS = {"forget": asks(("answer",), True)}
TEXTS = [t for e in ROWS["forget"] for t in (e.prompt, e.answer)]


@pytest.fixture(scope="module")
def subject():
    model, tokenizer = tiny.build(TEXTS, layers=1, width=32, ffn=64, vocab=300)
    return Subject(model, tokenizer, "tiny", None, digest_tensors(model))


def ask(subject, rows=ROWS):
    return measured(subject, rows, WANTS, salt="s", max_new_tokens=4)


def test_the_same_question_is_answered_from_the_cache(subject, tmp_path, monkeypatch):
    monkeypatch.setenv("EXPUNGE_CACHE", str(tmp_path))
    first, cost = ask(subject)
    again, reused = ask(subject)
    assert cost is not None and reused is None
    assert [(r.id, r.loss, r.generated) for r in again] == [
        (r.id, r.loss, r.generated) for r in first
    ]
    assert {
        p.stat().st_mode & 0o777 for p in (tmp_path / "passes", *tmp_path.glob("passes/*"))
    } == {0o700}
    assert clear() == 1 and ask(subject)[1] is not None


def test_the_cache_is_shown_and_removed_only_when_told(subject, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("EXPUNGE_CACHE", raising=False)
    with pytest.raises(SystemExit):
        main(["cache"])
    assert "EXPUNGE_CACHE is not set" in capsys.readouterr().out
    monkeypatch.setenv("EXPUNGE_CACHE", str(tmp_path))
    ask(subject)
    with pytest.raises(SystemExit):
        main(["cache"])
    assert f"{tmp_path}: 1 passes, 0.0 MB" in capsys.readouterr().out and ask(subject)[1] is None
    with pytest.raises(SystemExit):
        main(["cache", "clear"])
    assert "1 passes removed" in capsys.readouterr().out and ask(subject)[1] is not None


def test_a_damaged_entry_is_made_again(subject, tmp_path, monkeypatch):
    monkeypatch.setenv("EXPUNGE_CACHE", str(tmp_path))
    first, _ = ask(subject)
    next(tmp_path.glob("passes/*/records.parquet")).write_bytes(b"broken")
    again, cost = ask(subject)
    assert cost is not None and [r.loss for r in again] == [r.loss for r in first]


ALL = (Sampling(3), Extraction(2, 1), GradientNorm(), FewShotPrefix(2))
EVERY = {
    "forget": asks(("answer", "lower"), True, True, observations=ALL),
    "holdout": asks(("answer", "lower"), observations=ALL),
}
BOTH = {
    **ROWS,
    "holdout": tuple(
        replace(e, id=f"h{i}", role="holdout", group=f"h{i}") for i, e in enumerate(ROWS["forget"])
    ),
}


def test_every_field_comes_back_from_the_cache(subject, tmp_path, monkeypatch):
    monkeypatch.setenv("EXPUNGE_CACHE", str(tmp_path))
    first, _ = measured(subject, BOTH, EVERY, salt="s", max_new_tokens=4)
    again, cost = measured(subject, BOTH, EVERY, salt="s", max_new_tokens=4)
    assert cost is None and len(again) == len(first)
    filled = set()
    for a, b in zip(first, again, strict=True):
        one, other = every_field(a), every_field(b)
        assert one.keys() == other.keys()
        for name, x in one.items():
            filled |= {name} if x is not None else set()
            assert np.allclose(x, other[name]) if isinstance(x, np.ndarray) else x == other[name], (
                name
            )
    assert {
        "samples",
        "sample_logp",
        "overlap",
        "grad_norm",
        "unfinished",
        "question",
        "entropy",
    } <= filled
    assert again.of("holdout", "prefix") and again.of("forget", "lower")


def test_another_question_makes_only_what_is_new(subject, tmp_path, monkeypatch):
    """Another role, another pass, more variants: each is made once, and the whole is what one call
    would have made.
    """
    monkeypatch.setenv("EXPUNGE_CACHE", str(tmp_path))
    ask_ = lambda wants, rows=BOTH: measured(subject, rows, wants, salt="s", max_new_tokens=4)
    assert ask_({"forget": asks(("answer",), True)})[1].rows == 4
    # the other role alone
    assert ask_({"forget": asks(("answer",), True), "holdout": asks()})[1].rows == 4
    lowered = ask_({"forget": asks(("answer", "lower"), True)})[1]
    assert lowered.rows == 4 and lowered.written == 0
    gradients = ask_({"forget": asks(("answer", "lower"), True, observations=(GradientNorm(),))})[1]
    assert gradients.more == {"gradients": 4} and gradients.written == 0
    assert ask_({"forget": asks(("answer",), False)})[1] is None  # less than what is kept
    ask_(EVERY)
    again, cost = ask_(EVERY)
    assert cost is None
    monkeypatch.delenv("EXPUNGE_CACHE")
    plain = ask_(EVERY)[0]
    assert len(again) == len(plain)
    for role in ("forget", "holdout"):
        for variant in ("answer", "lower", "prefix"):
            mine, theirs = again.of(role, variant), plain.of(role, variant)
            assert [r.loss for r in mine] == pytest.approx([r.loss for r in theirs], abs=1e-5)
            assert [r.generated for r in mine] == [r.generated for r in theirs]
            assert [r.observed.get("samples") for r in mine] == [
                r.observed.get("samples") for r in theirs
            ]


def test_options_are_a_part_of_their_own(subject, tmp_path, monkeypatch):
    monkeypatch.setenv("EXPUNGE_CACHE", str(tmp_path))
    rows = {"forget": tuple(replace(e, options=("Town", "Hill"), right=0) for e in ROWS["forget"])}
    asked = {"forget": asks((), options="all")}
    first, cost = measured(subject, rows, asked, salt="s")
    again, reused = measured(subject, rows, asked, salt="s")
    assert cost is not None and reused is None and len(again) == len(first) == 4 * 3
    both, cost = measured(subject, rows, {"forget": asks(options="all")}, salt="s")
    assert cost.rows == 4 and len(both.of("forget")) == 4 and len(both) == 16
    assert np.allclose(
        [r.options for r in both.of("forget", "texts")],
        [r.options for r in first.of("forget", "texts")],
    )


@pytest.mark.parametrize("file", ["records.parquet", "texts.jsonl"])
def test_a_flipped_byte_is_found(file, subject, tmp_path, monkeypatch):
    """A parquet file may still be readable then, with other numbers."""
    monkeypatch.setenv("EXPUNGE_CACHE", str(tmp_path))
    first, _ = ask(subject)
    place = next(tmp_path.glob(f"passes/*/{file}"))
    raw = bytearray(place.read_bytes())
    raw[len(raw) // 3] ^= 1
    place.write_bytes(bytes(raw))
    again, cost = ask(subject)
    assert cost is not None and [(r.loss, r.generated) for r in again] == [
        (r.loss, r.generated) for r in first
    ]


def test_an_entry_of_an_older_make_is_made_again(subject, tmp_path, monkeypatch):
    monkeypatch.setenv("EXPUNGE_CACHE", str(tmp_path))
    ask(subject)
    next(tmp_path.glob("passes/*/done")).write_text("")
    assert ask(subject)[1] is not None and ask(subject)[1] is None
    next(tmp_path.glob("passes/*/texts.jsonl")).unlink()
    assert ask(subject)[1] is not None


def test_every_optional_pass_is_in_the_key(subject):
    keys = {
        key_of(subject, BOTH, {"forget": asks(observations=some)}, {})
        for some in ((), *((observation,) for observation in ALL))
    }
    keys |= {
        key_of(subject, BOTH, {"forget": asks(observations=(observation,))}, {})
        for observation in (Sampling(4), Sampling(3, 0.5), GradientNorm(True), FewShotPrefix(3))
    }
    assert len(keys) == 9
    other = {**BOTH, "holdout": BOTH["holdout"][::-1]}
    assert (
        key_of(subject, other, {"forget": asks(observations=(FewShotPrefix(2),))}, {}) not in keys
    )


def test_whatever_decides_a_pass_is_in_its_key(subject):
    """Weights, words of the tokenizer, its template, the rows, the variants and the length of
    answers.
    """
    other_words = tiny.tokenizer(
        [*TEXTS, "Quite other words are here, many more than before."] * 3, vocab=300
    )
    other_template = tiny.tokenizer(TEXTS, vocab=300)
    other_template.chat_template = "{{ messages[0].content }}"
    changed_rows = {
        "forget": (replace(ROWS["forget"][0], answer="Elsewhere."), *ROWS["forget"][1:])
    }
    base = key_of(subject, ROWS, WANTS, {"max_new_tokens": 4})
    others = [
        key_of(replace(subject, digest="x"), ROWS, WANTS, {"max_new_tokens": 4}),
        key_of(replace(subject, tokenizer=other_words), ROWS, WANTS, {"max_new_tokens": 4}),
        key_of(replace(subject, tokenizer=other_template), ROWS, WANTS, {"max_new_tokens": 4}),
        key_of(subject, changed_rows, WANTS, {"max_new_tokens": 4}),
        key_of(subject, ROWS, {"forget": asks(("answer",))}, {"max_new_tokens": 4}),
        key_of(subject, ROWS, WANTS, {"max_new_tokens": 5}),
    ]
    assert base == key_of(subject, ROWS, WANTS, {"max_new_tokens": 4})
    assert len({base, *others}) == 7


def test_a_changed_model_in_memory_is_not_taken_for_its_start(subject, tmp_path, monkeypatch):
    """What a change returns has no digest of its own yet, so nothing kept under the start's can be
    found for it.
    """
    from expunge.attacks.quantize import quantize
    from expunge.training.sampler import Training
    from expunge.training.stages import change

    after = change(subject, quantize(bits=4).stages, {}, Training(), tmp_path)
    assert after.digest == "" and digest_tensors(after.model) != subject.digest


def edited(place, name, change):
    facts = json.loads((place / name).read_text())
    change(facts)
    (place / name).write_text(json.dumps(facts))


def normalizer(facts):
    facts["normalizer"] = {"type": "Lowercase"}


FILES = {
    "rope": ("config.json", lambda c: c["rope_parameters"].update(rope_theta=500.0)),
    "eps": ("config.json", lambda c: c.update(rms_norm_eps=5.0)),
    "activation": ("config.json", lambda c: c.update(hidden_act="relu")),
    "heads": (
        "config.json",
        lambda c: c.update(num_attention_heads=2, num_key_value_heads=2, head_dim=16),
    ),
    "generation": ("generation_config.json", lambda c: c.update(eos_token_id=5)),
    "normalizer": ("tokenizer.json", normalizer),
    "merges": ("tokenizer.json", lambda t: t["model"]["merges"].reverse()),
    "pre-tokenizer": ("tokenizer.json", lambda t: t["pre_tokenizer"].update(add_prefix_space=True)),
}


@pytest.fixture(scope="module")
def folder(subject, tmp_path_factory):
    place = save(subject, tmp_path_factory.mktemp("saved") / "model")
    (place / "manifest.json").unlink()  # as every foreign folder is
    return place


@pytest.mark.parametrize("what", FILES)
def test_a_file_that_decides_is_in_the_digest_and_in_the_key(what, folder, tmp_path):
    """The weights are the same to the bit; the old numbers must not be told of the other model."""
    place = tmp_path / "model"
    shutil.copytree(folder, place)
    edited(place, *FILES[what])
    before, after = load(folder), load(place)
    assert digest_folder(folder) != after.digest
    same_digest = replace(after, digest=before.digest)
    assert key_of(before, ROWS, WANTS, {}) != key_of(same_digest, ROWS, WANTS, {})


def test_the_same_model_elsewhere_is_the_same(folder, tmp_path):
    place = tmp_path / "model"
    shutil.copytree(folder, place)
    (place / "README.md").write_text("for people")
    assert digest_folder(place) == digest_folder(folder)
    assert key_of(load(place), ROWS, WANTS, {}) == key_of(load(folder), ROWS, WANTS, {})


def test_shards_outside_of_the_folder_are_in_the_digest(folder, tmp_path):
    """Named by the index, or behind a link."""
    place, other = tmp_path / "model", tmp_path / "elsewhere"
    shutil.copytree(folder, place)
    other.mkdir()
    (place / "model.safetensors").rename(other / "one.safetensors")
    (place / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"x": "../elsewhere/one.safetensors"}})
    )
    assert any("elsewhere/one.safetensors" in line for line in deciding(place))
    before = digest_folder(place)
    with (other / "one.safetensors").open("r+b") as f:
        f.seek(-1, os.SEEK_END)
        f.write(b"\x7f")
    named = digest_folder(place)
    (place / "linked.safetensors").symlink_to(other / "one.safetensors")
    linked = digest_folder(place)
    (other / "one.safetensors").write_bytes(b"other")
    assert len({before, named, linked, digest_folder(place)}) == 4


def test_settings_of_a_model_in_memory_are_in_the_key(subject):
    """Changed after the digest was taken: eps, an adapter's alpha, the dtype, the gold's settings
    beside it.
    """
    from expunge.models.causal_lm.lora import attach

    def other(change):
        model = copy.deepcopy(subject.model)
        change(model)
        return replace(subject, model=model)

    adapted = lambda alpha: attach(
        replace(subject, model=copy.deepcopy(subject.model)), 2, alpha=alpha
    )
    many = [
        subject,
        other(lambda m: setattr(m.config, "rms_norm_eps", 5.0)),
        other(lambda m: setattr(m.generation_config, "repetition_penalty", 2.0)),
        other(lambda m: m.double()),
        adapted(4.0),
        adapted(8.0),
    ]
    keys = {key_of(s, ROWS, WANTS, {}) for s in many}
    assert len(keys) == len(many)
    assert key_of(other(lambda m: None), ROWS, WANTS, {}) in keys
    # a call leaves its padding in the tokenizer; it decides nothing
    subject.tokenizer(["a", "b c d"], padding=True)
    assert key_of(subject, ROWS, WANTS, {}) in keys


def test_an_entry_that_another_user_signed_is_made_again(subject, tmp_path, monkeypatch, spoken):
    """The whole folder of another user, with its salt: its entries were not made by this user."""
    monkeypatch.setenv("EXPUNGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "theirs"))
    ask(subject)
    assert ask(subject)[1] is None
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "ours"))
    assert ask(subject)[1] is not None and "made again" in spoken()[-1]
    assert ask(subject)[1] is None
    key = tmp_path / "ours" / "expunge" / "cache.key"
    assert key.stat().st_mode & 0o777 == 0o600 and key.read_text() not in str(
        [*(tmp_path / "cache").rglob("*")]
    )


def test_a_cache_that_others_can_write_is_refused(subject, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    monkeypatch.setenv("EXPUNGE_CACHE", str(cache))
    for mode in (0o777, 0o775, 0o1777):
        cache.mkdir(exist_ok=True)
        cache.chmod(mode)
        with pytest.raises(Refused, match="can be written by others"):
            ask(subject)
    cache.chmod(0o755)
    monkeypatch.setattr(reuse, "mine", lambda facts: False)
    with pytest.raises(Refused, match="belongs to another user"):
        ask(subject)
    monkeypatch.undo()


def test_a_key_that_cannot_be_kept_is_said(subject, tmp_path, monkeypatch):
    monkeypatch.setenv("EXPUNGE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
    with pytest.raises(Refused, match="set XDG_CONFIG_HOME"):
        ask(subject)


def test_clear_stays_in_the_cache(subject, tmp_path, monkeypatch):
    """A link among the entries is removed, what it leads to is not; passes behind a link are
    refused.
    """
    cache, other = tmp_path / "cache", tmp_path / "other"
    monkeypatch.setenv("EXPUNGE_CACHE", str(cache))
    ask(subject)
    other.mkdir()
    (other / "precious").touch()
    (cache / "passes" / "x").symlink_to(other)
    assert clear() == 2 and not list((cache / "passes").iterdir())
    (cache / "passes").rmdir()
    (cache / "passes").symlink_to(other)
    for act in (clear, lambda: ask(subject)):
        with pytest.raises(Refused, match="link out of the cache"):
            act()
    assert (other / "precious").exists()
