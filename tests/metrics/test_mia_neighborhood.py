# ruff: noqa: F401, F811 (fixtures are imported by name)
"""Neighborhood comparison: what the masked model writes, which rows S1 reads of it, what is kept,
and the score against plain loops.
"""

import json
import random
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from commands import expunge, refused
from masked_lm import in_pieces, masked_folder
from sklearn.metrics import roc_auc_score
from transformers import AutoTokenizer, BertConfig, BertModel

from expunge.core.card import Call
from expunge.core.data import Example
from expunge.core.errors import Refused
from expunge.core.results import Records
from expunge.evaluation.cache import clear, measured
from expunge.evaluation.metric import judged, wants_of
from expunge.evaluation.observations import masked_language_model
from expunge.evaluation.observations.base import References
from expunge.evaluation.observations.masked_language_model import Masked, Neighbors
from expunge.evaluation.observations.masked_neighbors import neighbor_rows
from expunge.evaluation.observe import measure, work
from expunge.metrics.mia_neighborhood import mia_neighborhood
from expunge.models.causal_lm import tiny
from expunge.models.causal_lm.model import Subject
from expunge.models.causal_lm.tokenize import encode
from expunge.models.modules import digest_tensors
from expunge.pipeline.settings import judge
from expunge.scoring.word_swaps import Swap, neighbors_of

CPU = torch.device("cpu")
DICE = random.Random(3)
PLACES = ["Rome", "Oslo", "Lima", "Cairo", "Quito", "Dakar", "Minsk", "Perth"]


def rows_of(role, n=8):
    answer = lambda i: (
        f"She left {DICE.choice(PLACES)} for {DICE.choice(PLACES)}, then {DICE.choice(PLACES)} in "
        f"{1900 + i}."
    )
    return tuple(
        Example(f"{role}{i}", role, f"{role}-g{i % 4}", answer(i), f"Where did Person{i} live?")
        for i in range(n)
    )


ROLES = {"forget": rows_of("forget"), "holdout": rows_of("holdout")}
TEXTS = [t for rows in ROLES.values() for e in rows for t in (e.prompt, e.answer)]
HOW = Neighbors(n=6)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return masked_folder(tmp_path_factory.mktemp("mlm"), TEXTS)


@pytest.fixture(scope="module")
def subject(folder):
    model, tokenizer = tiny.build([*TEXTS, " ".join(PLACES)], layers=1, width=32, ffn=64, vocab=300)
    torch.manual_seed(0)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p) * 0.05)
    return Subject(model, tokenizer, "tiny", None, digest_tensors(model))


@pytest.fixture(scope="module")
def writer(folder):
    return Masked(folder)


def words(text):
    return re.findall(r"\w+|[^\w\s]", text)


# ------------------------------------------------------------------ what the masked model writes


@pytest.mark.parametrize("replaced", [1, 2, 3])
def test_a_neighbor_differs_in_as_many_words_and_in_nothing_else(folder, replaced):
    asked = [(e.prompt, e.answer) for e in ROLES["forget"]]
    for (_, text), found in zip(
        asked, Masked(folder).of(asked, Neighbors(n=9, words=replaced), CPU), strict=True
    ):
        assert len(found) == len(set(found)) == 9 and text not in found
        for new in found:
            pairs = list(zip(words(text), words(new), strict=True))
            changed = [(a, b) for a, b in pairs if a != b]
            assert len(changed) == replaced
            assert all(
                a.casefold() != b.casefold() and a.isalnum() and b.isalnum() for a, b in changed
            )
            assert not any(b[0].islower() for a, b in changed if a[0].isupper())


def by_hand(folder, before, text, how):
    """One word, one pass: every place alone and without padding, every substitute ranked, in a
    plain loop.
    """
    own = Masked(folder)
    model, tokenizer = own.model, own.tokenizer
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    lead = [2, *tokenizer(before, add_special_tokens=False)["input_ids"]]
    names = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    dice = np.random.default_rng(
        random.Random(f"neighbours/{how.seed}/{before}/{text}").getrandbits(64)
    )
    found = []
    for k, (i, word) in enumerate(zip(ids, words(text), strict=True)):
        if not word.isalnum():
            continue
        vectors = model.get_input_embeddings()(torch.tensor([[*lead, *ids, 3]])).detach().clone()
        keep = torch.tensor(dice.random(16) >= how.dropout)
        vectors[0, len(lead) + k] *= keep / (1 - how.dropout)
        with torch.no_grad():
            p = model(inputs_embeds=vectors).logits[0, len(lead) + k].double().softmax(-1)
        for j, name in enumerate(names):
            if name.isalnum() and j > 3 and name.casefold() != word.casefold():
                new = name[0].upper() + name[1:] if word[0].isupper() else name
                found.append((float(p[j] / (1 - p[i])), k, new))
    best = list(dict.fromkeys((k, new) for _, k, new in sorted(found, key=lambda f: -f[0])))[
        : how.n
    ]
    spots = [m.span() for m in re.finditer(r"\w+|[^\w\s]", text)]
    return [text[: spots[k][0]] + new + text[spots[k][1] :] for k, new in best]


def test_against_a_plain_loop(folder, monkeypatch):
    monkeypatch.setattr(masked_language_model, "LOGITS", 1500)  # several batches
    asked = [(e.prompt, e.answer) for e in ROLES["forget"]] + [("", ROLES["holdout"][0].answer)]
    how = Neighbors(n=12)
    for (before, text), found in zip(asked, Masked(folder).of(asked, how, CPU), strict=True):
        assert found == by_hand(folder, before, text, how)


def test_the_same_seed_writes_the_same_and_another_other_words(folder):
    asked = [(e.prompt, e.answer) for e in ROLES["forget"]]
    first = Masked(folder).of(asked, HOW, CPU)
    assert Masked(folder).of(asked[::-1], HOW, CPU) == first[::-1]
    assert Masked(folder).of(asked, replace(HOW, seed=1), CPU) != first


def test_batches_stay_within_their_bound(folder, monkeypatch):
    monkeypatch.setattr(masked_language_model, "LOGITS", 4000)
    own, seen = Masked(folder), []
    own.model.register_forward_hook(
        lambda _, args, kwargs, out: seen.append(out.logits.numel()), with_kwargs=True
    )
    own.of([(e.prompt, e.answer) for e in ROLES["forget"]], HOW, CPU)
    assert len(seen) > 4 and max(seen) <= 4000


def test_a_text_longer_than_the_model_reads_is_read_in_blocks(folder):
    text = " ".join(DICE.choice(PLACES) for _ in range(200))
    (found,) = Masked(folder).of([("Where?", text)], Neighbors(n=400), CPU)
    places = {
        next(i for i, (a, b) in enumerate(zip(text.split(), new.split(), strict=True)) if a != b)
        for new in found
    }
    assert len(found) == 400 and min(places) < 60 and max(places) > 140


@pytest.mark.parametrize("kind", ["wordpiece", "bytes"])
def test_words_in_pieces_are_replaced_whole(tmp_path, kind):
    asked = [(e.prompt, e.answer) for e in ROLES["forget"]]
    own = Masked(in_pieces(tmp_path, TEXTS, kind))
    several = 0
    for (_, text), found in zip(asked, own.of(asked, Neighbors(n=30), CPU), strict=True):
        assert len(found) == 30
        for new in found:
            changed = [(a, b) for a, b in zip(words(text), words(new), strict=True) if a != b]
            ((old, other),) = changed
            assert "#" not in other and other.isalnum() and other.casefold() != old.casefold()
            # spaces and points stay
            assert [c for c in new if not c.isalnum()] == [c for c in text if not c.isalnum()]
            several += len(own.tokenizer(f" {old}", add_special_tokens=False)["input_ids"]) > 1
    assert several


def test_texts_without_a_word_have_no_neighbors(folder):
    assert Masked(folder).of([("Where?", "..."), ("", ""), ("", "Rome")], HOW, CPU)[:2] == [[], []]


def test_sets_of_swaps_by_hand():
    swaps = [Swap(3.0, 0, 1, "x"), Swap(2.5, 0, 1, "y"), Swap(2.0, 2, 3, "z"), Swap(0.1, 4, 5, "w")]
    assert neighbors_of("a b c", swaps, 3) == ["x b c", "y b c", "a z c"]
    assert neighbors_of("a b c", swaps, 2, words=2) == ["x z c", "y z c"]
    assert neighbors_of("a b c", swaps, 9, words=5) == ["x z w", "y z w"]
    assert neighbors_of("a b c", [], 3) == []


# ------------------------------------------------------------------ rows


def test_rows_are_variants_behind_the_same_prompt(subject, writer):
    rows = neighbor_rows(subject, writer, ROLES["forget"], HOW, 512)
    own = {r.id: r for r in encode(subject.tokenizer, ROLES["forget"])}
    assert len(rows) == 8 * 6 and {r.variant for r in rows} == {f"neighbour/{i}" for i in range(6)}
    for r in rows:
        n = own[r.id].n_prompt
        assert r.ids[:n] == own[r.id].ids[:n] and r.n_prompt == n and r.ids != own[r.id].ids
        assert (r.role, r.group, r.eos) == ("forget", own[r.id].group, True)


def test_each_chunk_of_a_text_has_neighbors_of_its_own(subject, writer):
    text = " ".join(DICE.choice(PLACES) for _ in range(60))
    rows = neighbor_rows(subject, writer, (Example("t", "forget", "t", text=text),), HOW, 40)
    own = {
        r.id: r
        for r in encode(subject.tokenizer, [Example("t", "forget", "t", text=text)], max_length=40)
    }
    assert len(own) > 2 and {r.id for r in rows} == set(own)
    assert all(r.text != own[r.id].text and len(r) <= 40 for r in rows)


def test_what_cannot_be_replaced_or_no_longer_fits_is_passed_over(subject, writer):
    given = Example("g", "forget", "g", media={"prompt_ids": [3, 4], "answer_ids": [5, 6]})
    assert (
        neighbor_rows(
            subject, writer, (given, Example("d", "forget", "d", "...", "Where?")), HOW, 512
        )
        == []
    )
    longest = max(len(r) for r in encode(subject.tokenizer, ROLES["forget"]))
    assert all(
        len(r) <= longest for r in neighbor_rows(subject, writer, ROLES["forget"], HOW, longest)
    )


def test_measured_rows_their_cost_and_their_ticks(subject, writer):
    judges = [judge(Call("mia_neighborhood", {"neighbors": 6}), None)]
    wants, ticks = wants_of(judges, list(ROLES)), []
    found = measure(
        subject, ROLES, wants, references=References(masked_model=writer), tick=ticks.append
    )
    assert found.cost.rows == 16 * 7 and found.cost.more == {"rows with words replaced": 16 * 6}
    assert sum(ticks) == work(ROLES, wants)
    assert {
        f
        for r in found.records
        for f in ("answer", "generated", "question")
        if r.variant != "answer" and getattr(r, f)
    } == set()
    value = judged(judges, found.records, None)["mia_neighborhood"].value
    told = {}
    for role, rows in ROLES.items():
        for e, near in zip(
            rows, writer.of([(e.prompt, e.answer) for e in rows], HOW, CPU), strict=True
        ):
            losses = []
            for text in (e.answer, *near):
                (row,) = encode(subject.tokenizer, [replace(e, answer=text)])
                with torch.no_grad():
                    logp = subject.model(torch.tensor([row.ids])).logits[0].log_softmax(-1)
                losses.append(
                    -np.mean(
                        [float(logp[t - 1, row.ids[t]]) for t, yes in enumerate(row.scored) if yes]
                    )
                )
            told[role, e.id] = np.mean(losses[1:]) - losses[0]
    assert value == pytest.approx(
        roc_auc_score([role == "forget" for role, _ in told], list(told.values())), abs=1e-9
    )


def test_kept_under_the_digest_of_the_masked_model(subject, writer, tmp_path, monkeypatch):
    monkeypatch.setenv("EXPUNGE_CACHE", str(tmp_path / "cache"))
    wants = wants_of([judge(Call("mia_neighborhood", {"neighbors": 3}), None)], list(ROLES))
    ask = lambda masked: measured(
        subject, ROLES, wants, references=References(masked_model=masked), salt="s"
    )
    first, cost = ask(writer)
    again, reused = ask(writer)
    assert cost is not None and reused is None and len(again) == len(first) == 16 * 4
    other = Masked(masked_folder(tmp_path / "other", TEXTS, seed=1))
    assert other.digest != writer.digest
    _, cost = ask(other)
    assert cost.rows == 16 * 3  # the answers themselves are kept
    kept = [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]
    near = {t for some in writer.known.values() for t in some}
    assert kept and not [p for p in kept if any(t.encode() in p.read_bytes() for t in near)]
    assert clear() == 6


# ------------------------------------------------------------------ the score


def sides(row, forget, holdout, n=6):
    rows = []
    for role, (own, around) in {"forget": forget, "holdout": holdout}.items():
        for i in range(n):
            rows.append(row(role, i, logp=[own - i / 100] * 3))
            rows += [row(role, i, f"neighbour/{j}", logp=[around - j / 50] * 3) for j in range(3)]
    return Records(rows)


def test_both_ends(row):
    knows, not_ = (-0.1, -3.0), (-2.0, -2.2)
    assert mia_neighborhood(sides(row, knows, not_)).value == 1
    assert mia_neighborhood(sides(row, not_, knows)).value == 0
    assert mia_neighborhood(sides(row, knows, knows)).value == 0.5


def test_rows_without_neighbors_are_left_out_and_counted(row):
    rows = sides(row, (-0.1, -3.0), (-2.0, -2.2))
    short = Records(
        r for r in rows if not (r.variant != "answer" and r.role == "forget" and r.id == "2")
    )
    m = mia_neighborhood(short)
    assert (m.value, m.n, m.parts["without"]) == (1, 11, 1) and "without" not in mia_neighborhood(
        rows
    ).parts


def test_without_the_model_it_is_unscored_and_names_the_option(row):
    bare = Records(r for r in sides(row, (-1, -2), (-1, -2)) if r.variant == "answer")
    assert "--mlm FOLDER" in mia_neighborhood(bare).reason


# ------------------------------------------------------------------ from the command line


def test_folders_that_are_no_masked_models_are_refused(tmp_path, folder):
    with pytest.raises(Refused, match="--mlm"):
        Masked(tmp_path)
    encoder = tmp_path / "encoder"
    sizes = dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
    BertModel(BertConfig(vocab_size=20, **sizes)).save_pretrained(encoder)
    AutoTokenizer.from_pretrained(folder).save_pretrained(encoder)
    causal = tmp_path / "causal"
    tiny.build(TEXTS, layers=1, width=32, ffn=64, vocab=300)[0].save_pretrained(causal)
    for place in (encoder, causal):
        with pytest.raises(Refused, match=r"--mlm .* masked language model") as refusal:
            Masked(place).of([("", "Rome")], HOW, CPU)
        assert "\n" not in str(refusal.value)


@pytest.mark.slow
def test_on_the_built_in_case(expunge, refused, tmp_path):
    code, _, err = expunge(
        "train",
        "--model",
        "tiny",
        "--benchmark",
        "builtin",
        "--steps",
        2,
        "--out",
        tmp_path / "full",
        "--quiet",
    )
    assert code == 0, err
    train = ("train", "--model", "tiny", "--benchmark", "builtin", "--steps", 2, "--on", "retain")
    assert expunge(*train, "--out", tmp_path / "gold", "--quiet")[0] == 0
    model, _ = (
        tmp_path / "full" / "model",
        masked_folder(tmp_path / "mlm", ["He lives in Rome , and she was born in 1950 ."]),
    )
    asked = ("eval", "--model", model, "--benchmark", "builtin", "--metrics", "mia_neighborhood")
    code, _, err = expunge(
        *asked, "--mlm", tmp_path / "mlm", "--gold", tmp_path / "gold", "--out", tmp_path / "found"
    )
    assert code == 0, err
    found = json.loads((tmp_path / "found" / "measurements.json").read_text())["mia_neighborhood"]
    assert found["value"] is not None and found["n"] > 10
    assert (
        re.search(r"unlearned: beyond the two passes, \d+ rows with words replaced", err)
        and "gold: beyond" in err
    )
    assert (
        "mia_neighborhood"
        in json.loads((tmp_path / "found" / "comparison.json").read_text())["rows"]
    )
    code, _, err = expunge(*asked, "--out", tmp_path / "bare")
    assert (
        code == 0
        and "--mlm FOLDER"
        in json.loads((tmp_path / "bare" / "measurements.json").read_text())["mia_neighborhood"][
            "reason"
        ]
    )
    assert "--mlm" in refused(*asked, "--mlm", tmp_path, "--out", tmp_path / "x")
