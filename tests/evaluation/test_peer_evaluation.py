"""The shared passes on the peer's checkpoint, row by row against the peer's stored values."""

import gzip
import json

import numpy as np
import pytest
import torch
from asking import asks

from expunge import registry
from expunge.evaluation.metric import wants_of
from expunge.evaluation.observations.gradient_norm import gradient_norms
from expunge.evaluation.observe import measure
from expunge.models.causal_lm import answer_trees
from expunge.models.causal_lm.load import load
from expunge.models.causal_lm.tokenize import encode
from expunge.pipeline.settings import judges_of
from expunge.scoring.per_row import rouge_l_recall_of

PART = {"forget": 30, "retain": 10, "real_authors": 10, "world_facts": 10, "holdout": 20}
NAMES = {"forget": "forget", "retain": "retain", "real_authors": "ra", "world_facts": "wf"}


@pytest.fixture(scope="module", params=["full", "retain"])
def seen(request, shared):
    """Records of the first rows of every role, and the peer's log."""
    bench = registry.resolve(
        "benchmarks", "tofu", {"split": "forget10", "subset": "peer", "data": str(shared / "data")}
    )
    full = bench.case.train["full"]
    from expunge.data.read import read

    held = read(shared / "data" / "tofu" / "full.json.gz", role="holdout")[3200:3600]
    assert len(full) == 800
    roles = {**bench.case.evaluate, "holdout": held}
    roles = {name: rows[: PART[name]] for name, rows in roles.items()}
    wants = wants_of(judges_of(bench, bench.case), list(roles))
    subject = load(shared / "peer" / request.param)
    log = json.loads(
        gzip.decompress(
            (shared / "peer" / "values" / f"{request.param}.TOFU_EVAL.json.gz").read_bytes()
        )
    )
    return measure(subject, roles, wants), log, subject, roles


def stored(log, metric, field):
    rows = log[metric]["value_by_index"]
    return [rows[str(i)][field] for i in range(len(rows))]


def test_answer_losses(seen):
    measured, log, *_ = seen
    for role, short in NAMES.items():
        theirs = stored(log, f"{short}_Q_A_Prob", "avg_loss")
        for record, loss in zip(measured.records.of(role), theirs):
            # the README's tolerance: 3e-5 nats, 1e-4 with other batching
            assert record.loss == pytest.approx(loss, abs=1e-4)


def test_paraphrase_and_perturbed_losses(seen):
    measured, log, *_ = seen
    for record, loss in zip(
        measured.records.of("forget", "paraphrase"), stored(log, "forget_Q_A_PARA_Prob", "avg_loss")
    ):
        assert record.loss == pytest.approx(loss, abs=1e-4)
    for role, short in NAMES.items():
        theirs = stored(log, f"{short}_Q_A_PERT_Prob", "avg_loss")
        for rows, losses in zip(measured.records.variants(role, "perturbed/").values(), theirs):
            assert [r.loss for r in rows] == pytest.approx(losses, abs=1e-4)


def test_generated_texts_and_rouge(seen):
    """One token may fall the other way where two are equally likely; everything else is the same
    text.
    """
    measured, log, *_ = seen
    wrong = 0
    for role, short in NAMES.items():
        rows = log[f"{short}_Q_A_ROUGE"]["value_by_index"]
        for i, record in enumerate(measured.records.of(role)):
            same = record.generated.strip() == rows[str(i)]["generation"].strip()
            wrong += not same
            if same:
                assert rouge_l_recall_of(record.answer, record.generated) == pytest.approx(
                    rows[str(i)]["rougeL_recall"], abs=1e-12
                )
    assert wrong <= 1


def test_membership_scores(seen):
    measured, log, *_ = seen
    for role in ("forget", "holdout"):
        rows = log["mia_loss"][role]["value_by_index"]
        for i, record in enumerate(measured.records.of(role)):
            assert record.loss == pytest.approx(rows[str(i)]["score"], abs=1e-4)


def test_gradient_norms(seen):
    """The peer's score is the mean of its tensors' 2-norms without the end token; the norm of the
    whole gradient is another number.
    """
    _, log, subject, roles = seen
    for role in ("forget", "holdout"):
        rows = encode(subject.tokenizer, roles[role][:4])
        theirs = [log["mia_gradnorm"][role]["value_by_index"][str(i)]["score"] for i in range(4)]
        found = gradient_norms(subject, rows)
        assert [x[3] for x in found] == pytest.approx(theirs, rel=1e-4)
        assert all(x[1] > 3 * x[3] for x in found)


def test_memorized_answers_are_not_generated_again(seen):
    """S2 starts where S1 first misses: with `full`, which knows its rows by heart, S1 has decided
    nearly all of them.
    """
    measured, _, subject, _ = seen
    if "full" in subject.source:
        known = measured.records.of("forget")
        assert all(r.generated == r.answer for r in known)
        assert measured.cost.spared > 5 * sum(r.n_tokens for r in known) / 10


def test_every_row_runs_once_and_a_prompt_is_read_once(seen):
    measured, _, _, roles = seen
    variants = {"forget": 7, "retain": 7, "real_authors": 4, "world_facts": 4, "holdout": 1}
    assert measured.cost.rows == sum(len(rows) * variants[name] for name, rows in roles.items())
    alone = sum(r.n_tokens for r in measured.records)
    assert measured.cost.tokens < 2 * alone


def test_trees_equal_rows(seen, monkeypatch):
    """Answers that share their prompt's pass have the numbers of rows that run alone."""
    measured, _, subject, roles = seen
    monkeypatch.setattr("expunge.models.causal_lm.score.longest", lambda model: 0)
    few = {"forget": roles["forget"][:8]}
    want = {"forget": asks(("answer", "paraphrase", "perturbed/"), False, True)}
    alone = {(r.id, r.variant): r for r in measure(subject, few, want).records}
    for r in measured.records:
        if (r.id, r.variant) in alone and r.role == "forget":
            other = alone[r.id, r.variant]
            np.testing.assert_allclose(r.logp, other.logp, atol=2e-4, rtol=1e-4)
            if r.mean_logp is not None:
                np.testing.assert_allclose(r.mean_logp, other.mean_logp, atol=2e-3, rtol=1e-3)
                np.testing.assert_array_equal(r.hit, other.hit)
    assert answer_trees.longest(subject.model)


def test_decoding_is_greedy_generation(seen):
    """Our batched continuation equals transformers' own greedy search from the prompt."""
    from expunge.models.causal_lm.tokenize import encode_prompt

    measured, _, subject, roles = seen
    for example, record in list(zip(roles["real_authors"], measured.records.of("real_authors")))[
        :3
    ]:
        prompt = torch.tensor([encode_prompt(subject.tokenizer, example)])
        out = subject.model.generate(
            prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=200, do_sample=False
        )
        assert (
            subject.tokenizer.decode(out[0, prompt.shape[1] :], skip_special_tokens=True)
            == record.generated
        )
