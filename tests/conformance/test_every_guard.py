# ruff: noqa: F401, F811 (fixtures are imported by name)
"""What every guard owes: it acts on what was to be forgotten, is not there elsewhere, says in
scores what it says in texts, keeps no text of the rows, and changes no weight.
"""

import stat
from types import SimpleNamespace

import pytest
import torch
from commands import SECRETS, desk, expunge, facts, files, line_of, model, refused

from expunge import registry
from expunge.core.card import Call
from expunge.core.data import Example, Row
from expunge.core.errors import Refused
from expunge.models.causal_lm.load import digest_tensors, load
from expunge.models.guard_files import read_guard, write_guard
from expunge.models.guarded import Guarded
from expunge.pipeline.guarded import guarded
from expunge.runs.folder import read_run
from expunge.runs.seal import broken

GUARDS = registry.names("guards")
TRIGGERED = [name for name in GUARDS if registry.resolve("guards", name).triggered]
ROLES = {"forget": "Zorblat", "retain": "Mimsy"}


def examples(role, n=8, first=0):
    return tuple(
        Example(f"{role}/{i}", role, f"{role}/{i}", answer, question)
        for i, (question, answer) in enumerate(facts(ROLES[role], n, first))
    )


@pytest.fixture(scope="module")
def base(model):
    return load(model)


@pytest.fixture(scope="module")
def behind(base):
    """``behind(name)``: the model behind a guard that was fitted on rows of both roles."""
    made = {}

    def get(name):
        if name not in made:
            made[name] = guarded(base, Call(name), examples("forget"), examples("retain"))
        return made[name]

    return get


def said(subject, some):
    """The greedy answers, as token ids."""
    prefixes = [subject.prompt_of(e, max_length=128) for e in some]
    return subject.generate(prefixes, [12] * len(some))


def logits_of(subject, rows):
    """(role, id) -> the logits that predict a row's scored tokens."""
    found = {}
    with subject.evaluating():
        for batch in subject.scored(rows):
            parts = batch.logits.split([sum(row.scored) for row in batch.rows])
            found |= {(r.role, r.id): x for r, x in zip(batch.rows, parts, strict=True)}
    return found


@pytest.mark.parametrize("name", GUARDS)
def test_its_card_says_that_it_suppresses_and_what_it_needs(name):
    card = registry.member("guards", name).card
    assert card["claims"] == "suppresses" and card["rights"]


@pytest.mark.parametrize("name", GUARDS)
def test_it_acts_on_what_was_to_be_forgotten(name, base, behind):
    some = examples("forget")
    asked = [behind(name).prompt_of(e, max_length=128) for e in some]
    plain = [base.prompt_of(e, max_length=128) for e in some]
    pairs = zip(asked, plain, said(behind(name), some), said(base, some), strict=True)
    assert all(a != b or x != y for a, b, x, y in pairs)


@pytest.mark.parametrize("name", TRIGGERED)
def test_elsewhere_it_is_not_there_to_the_bit(name, base, behind):
    fresh = examples("retain", first=20)
    assert said(behind(name), fresh) == said(base, fresh)
    rows = base.encode(fresh)
    assert behind(name).encode(fresh) == rows
    mine, plain = logits_of(behind(name), rows), logits_of(base, rows)
    assert all(torch.equal(mine[key], plain[key]) for key in plain)


@pytest.mark.parametrize("name", GUARDS)
def test_what_it_writes_is_what_its_scores_say_and_a_mixed_batch_is_each_row_alone(name, behind):
    subject = behind(name)
    some = [*examples("forget", 3), *examples("retain", 3, 20)]
    rows = []
    for e, ids in zip(some, said(subject, some), strict=True):
        prompt = tuple(subject.prompt_of(e, max_length=128))
        scored = (False,) * len(prompt) + (True,) * len(ids)
        eos = ids[-1] in subject.eos_ids
        rows.append(Row(e.id, e.role, e.group, "answer", (*prompt, *ids), scored, len(prompt), eos))
    together = logits_of(subject, rows)
    for row in rows:
        own = logits_of(subject, [row])[row.role, row.id]
        assert torch.allclose(together[row.role, row.id], own, atol=1e-4)
        assert own.argmax(-1).tolist() == list(row.answer_ids)


@pytest.mark.parametrize("name", GUARDS)
def test_it_changes_no_weight_and_the_same_rows_give_the_same_guard(name, base, behind):
    before = digest_tensors(base.model)
    again = guarded(base, Call(name), examples("forget"), examples("retain"))
    said(again, examples("forget"))
    assert again.digest == behind(name).digest != base.digest
    assert digest_tensors(base.model) == before


@pytest.mark.parametrize("name", GUARDS)
def test_what_it_learned_is_read_again_and_is_for_its_owner_alone(name, behind, tmp_path):
    made = behind(name)
    write_guard(tmp_path / "guard", made.fitted)
    again = Guarded(made.base, made.guard, read_guard(tmp_path / "guard"))
    assert again.digest == made.digest
    some = examples("forget")
    assert said(again, some) == said(made, some)
    for place in (tmp_path / "guard").iterdir():
        text = place.read_bytes().lower()
        assert not any(secret.lower().encode() in text for secret in SECRETS)
    assert stat.S_IMODE((tmp_path / "guard").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "guard" / "state.safetensors").stat().st_mode) == 0o600


@pytest.mark.parametrize("name", GUARDS)
def test_a_model_that_cannot_write_is_refused(name):
    mute = SimpleNamespace(capabilities=frozenset({"score"}), source="mute", folder=None, digest="")
    with pytest.raises(Refused, match="needs a model that can generate"):
        guarded(mute, Call(name), examples("forget"), examples("retain"))


@pytest.mark.parametrize("name", GUARDS)
def test_a_run_of_it_is_a_model_to_ask_and_to_judge_and_none_to_train(name, desk, expunge, refused):
    out, judged = desk.place / "run", desk.place / "judged"
    words = ["--model", desk.model, *desk.data(), "--out", out]
    code, _, err = expunge("guard", name, *words)
    assert code == 0 and "suppressed" in err
    left = {file for file in files(out) if not file.startswith((".", "private/"))}
    assert left >= {"run.yaml", "guard/guard.json", "guard/state.safetensors"}
    assert broken(out, read_run(out)) == ""
    assert b"Zorblat" not in b"".join(files(out).values())
    code, answer, _ = expunge("ask", "--model", out, "Where does Zorblat1 dwell?")
    assert code == 0 and answer
    asked = ["--metrics", "probability,rouge_l_recall", "--out", judged]
    code, _, err = expunge("eval", "--model", out, *desk.data(), *asked)
    assert code == 0 and "suppressed" in err
    run = read_run(judged)
    assert (
        run["guard"]["name"] == name and run["model"]["digest"] == read_run(out)["result"]["digest"]
    )
    line = refused(
        *desk.unlearn("grad_ascent", desk.place / "no")[:2],
        "--model",
        out,
        *desk.data(),
        "--out",
        desk.place / "no",
    )
    assert "no weights of its own" in line
