"""The token-wise metrics on the peer's small checkpoint, from a plain forward pass: its published
values, row by row.

What its log cannot show (hit bits, token sums) is pinned here: both forms of extraction strength
and of zlib.
"""

import gzip
import json
import zlib

import numpy as np
import pytest
import torch

from expunge.core.results import Record, Records
from expunge.interop.open_unlearning_log import read_log
from expunge.metrics.exact_memorization import exact_memorization
from expunge.metrics.extraction_strength import extraction_strength
from expunge.metrics.mia_loss import mia_loss
from expunge.metrics.mia_min_k import mia_min_k
from expunge.metrics.mia_min_k_plus_plus import mia_min_k_plus_plus
from expunge.metrics.mia_zlib import mia_zlib
from expunge.metrics.probability import probability
from expunge.scoring.per_row import lowest_mean, min_k_of, probability_of

BATCH = 32


def encoded(tokenizer, question, answer):
    """(length of the prompt, ids of prompt and answer) by the tokenizer's own chat template."""
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    prompt = tokenizer.apply_chat_template(
        messages[:1], add_generation_prompt=True, return_dict=False
    )
    return len(prompt), tokenizer.apply_chat_template(messages, return_dict=False)


def scored(tokenizer, logits, n_prompt, ids, role, i, answer):
    logp = torch.log_softmax(logits[n_prompt - 1 : len(ids) - 1].float(), -1)
    labels = torch.tensor(ids[n_prompt:])
    mean = (logp.exp() * logp).sum(-1)
    return Record(
        "gold",
        role,
        str(i),
        str(i // 20),
        "answer",
        n_tokens=len(labels),
        eos=bool(labels[-1] == tokenizer.eos_token_id),
        logp=logp.gather(1, labels[:, None])[:, 0].numpy(),
        hit=(logp.argmax(-1) == labels).numpy(),
        mean_logp=mean.numpy(),
        var_logp=((logp.exp() * logp.square()).sum(-1) - mean.square()).numpy(),
        chars=len(answer),
        zlib=len(zlib.compress(answer.encode())),
    )


@pytest.fixture(scope="module")
def retrained(shared):
    """Records of the checkpoint that never saw forget10: its 400 rows, and the 400 rows that stand
    in for a holdout.
    """
    transformers = pytest.importorskip("transformers")
    transformers.utils.logging.disable_progress_bar()
    tokenizer = transformers.AutoTokenizer.from_pretrained(shared / "peer/retain")
    model = transformers.AutoModelForCausalLM.from_pretrained(
        shared / "peer/retain", dtype=torch.float32
    ).eval()
    with gzip.open(shared / "data/tofu/full.json.gz", "rt", encoding="utf-8") as lines:
        full = [json.loads(line) for line in lines]
    todo = []
    for role, first in (("forget", 3600), ("holdout", 3200)):
        for i, qa in enumerate(full[first : first + 400]):
            todo.append((role, i, qa["answer"], *encoded(tokenizer, qa["question"], qa["answer"])))
    todo.sort(key=lambda row: len(row[4]))
    found = []
    for k in range(0, len(todo), BATCH):
        batch = todo[k : k + BATCH]
        padded = tokenizer.pad(
            {"input_ids": [ids for *_, ids in batch]}, padding_side="right", return_tensors="pt"
        )
        with torch.no_grad():
            logits = model(**padded).logits
        found += [
            scored(tokenizer, z, n, ids, role, i, a)
            for z, (role, i, a, n, ids) in zip(logits, batch, strict=True)
        ]
    return Records(sorted(found, key=lambda r: (r.role, int(r.id))))


def test_both_extraction_strengths(retrained):
    """Correct .00963001; the peer's .03065043 is too high by its floor; with eos counted it would
    be .0376.
    """
    assert extraction_strength(retrained, "forget").value == pytest.approx(0.00963001, abs=1e-8)
    assert extraction_strength(retrained, "forget", floor=True).value == pytest.approx(
        0.030650426581923317, rel=1e-9
    )
    assert extraction_strength(retrained, "forget", eos=True).value == pytest.approx(
        0.0376, abs=5e-5
    )
    # rows whose last answer token is wrong
    assert sum(1 for r in retrained.of("forget") if not r.hit[-2]) == 262


def test_both_zlib_forms(retrained):
    assert mia_zlib(retrained).value == pytest.approx(0.53135625, abs=1e-12)
    assert mia_zlib(retrained, loss="total").value == pytest.approx(0.4996, abs=5e-5)


@pytest.mark.parametrize(
    ("metric", "value"),
    [(mia_loss, 0.5071125), (mia_min_k, 0.48993125), (mia_min_k_plus_plus, 0.5083)],
    ids=["loss", "min_k", "min_k_plus_plus"],
)
def test_membership_to_the_last_digit(metric, value, retrained):
    assert metric(retrained).value == pytest.approx(value, abs=1e-12)


def test_probability_and_exact_memorization(retrained):
    assert probability(retrained, "forget").value == pytest.approx(0.0004519515327649515, rel=1e-4)
    assert exact_memorization(retrained, "forget").value == pytest.approx(
        0.1232152996910736, rel=1e-7
    )


def test_every_row_is_the_logs_row(retrained, shared):
    log = read_log(shared / "peer/values/retain.TOFU_EVAL.json.gz")

    def normalized(r):
        z = (r.logp - r.mean_logp) / np.sqrt(np.maximum(r.var_logp, 1e-6))
        return lowest_mean(z[:-1], 0.4)

    for role in ("forget", "holdout"):
        ours, theirs = retrained.of(role), log.of(role)
        for name, fn, tolerance in (
            ("mia_loss", lambda r: -r.loss, 3e-5),
            ("mia_min_k", lambda r: min_k_of(r, 0.4, False), 1e-4),
            ("mia_min_k_plus_plus", normalized, 2e-3),
            ("mia_zlib", lambda r: -r.loss / r.zlib, 1e-6),
        ):
            np.testing.assert_allclose(
                [fn(r) for r in ours],
                [r.given[name] for r in theirs],
                rtol=0,
                atol=tolerance,
                err_msg=name,
            )
    np.testing.assert_allclose(
        [probability_of(r) for r in retrained.of("forget")],
        [probability_of(r) for r in log.of("forget")],
        rtol=1e-4,
    )
