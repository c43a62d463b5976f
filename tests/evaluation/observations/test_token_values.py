"""Logits -> numbers of each token: in float32 whatever the logits are, and finite where a token is
suppressed.
"""

import gc
import tracemalloc
from dataclasses import fields

import numpy as np
import pytest
import torch
from asking import asks
from evaluation.observations.test_hidden_states import made
from scipy.special import log_softmax

from expunge.core.data import Example, Row
from expunge.evaluation.observations import token_values
from expunge.evaluation.observations.token_values import blank, keep_tokens, read_tokens
from expunge.evaluation.observe import measure


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_log_softmax_is_made_in_float32(dtype):
    """Of logits in half precision: a log-softmax made in their own precision is off by hundredths
    of a nat.
    """
    logits = (torch.randn(50, 300, generator=torch.Generator().manual_seed(0)) * 5).to(dtype)
    labels = torch.arange(50)
    found = read_tokens(logits, labels, bits=True, moments=True)
    wide = log_softmax(logits.double().numpy(), axis=1)
    p = np.exp(wide)
    mean = (p * wide).sum(1)
    expected = {
        "logp": wide[np.arange(50), labels],
        "mean_logp": mean,
        "var_logp": (p * (wide - mean[:, None]) ** 2).sum(1),
    }
    for name, x in expected.items():
        np.testing.assert_allclose(found[name].numpy(), x, atol=2e-5)
        assert found[name].dtype == torch.float32
    np.testing.assert_array_equal(
        found["rank"].numpy(),
        [(row > row[i]).sum() for i, row in enumerate(logits.float().numpy())],
    )
    if dtype is torch.bfloat16:
        own = logits.log_softmax(-1).gather(1, labels[:, None])[:, 0].float()
        assert np.abs(own.numpy() - expected["logp"]).max() > 1e-2


def test_a_suppressed_token_leaves_the_moments_finite():
    """Its probability is 0 and its log-probability minus infinity: their product must count as 0,
    and is NaN if merely multiplied.
    """
    logits = torch.tensor([[0.0, 1.0, 2.0, -torch.inf]])
    found = read_tokens(logits, torch.tensor([1]), bits=False, moments=True)
    kept = read_tokens(logits[:, :3], torch.tensor([1]), bits=False, moments=True)
    for name, x in kept.items():
        torch.testing.assert_close(found[name], x)
    # itself is not softened
    assert (
        read_tokens(logits, torch.tensor([3]), bits=False, moments=True)["logp"].item()
        == -torch.inf
    )


def test_rows_keep_their_own_numbers_however_the_logits_are_cut(monkeypatch):
    """Answers, variants and a row of no scored token in one batch, read a few logits at a time:
    what each has alone, bit by bit.
    """
    draw = torch.Generator().manual_seed(0)
    logits = torch.randn(20, 50, generator=draw)
    labels = torch.randint(0, 50, (20,), generator=draw)
    lengths = {"answer": 7, "paraphrase": 5, "perturbed/0": 0, "lower": 8}
    rows = [
        Row(v, "forget", "g", v, tuple(range(n + 1)), (False, *[True] * n), 1, False)
        for v, n in lengths.items()
    ]
    rows[3] = Row("lower", "forget", "g", "answer", rows[3].ids, rows[3].scored, 1, False)
    wide = lambda row: row.id == "answer"
    for piece in (1, 150, 1 << 19):
        monkeypatch.setattr(token_values, "PIECE", piece)
        found = blank(rows, wide)
        keep_tokens(found, rows, logits, labels, wide)
        start = 0
        for row in rows:
            own = slice(start, start + sum(row.scored))
            alone = read_tokens(
                logits[own], labels[own], bits=row.variant == "answer", moments=wide(row)
            )
            read = found[row.role, row.id, row.variant]
            assert {f.name for f in fields(read) if getattr(read, f.name) is not None} == set(alone)
            for name, x in alone.items():
                np.testing.assert_array_equal(getattr(read, name), x.numpy(), strict=True)
            start = own.stop


def test_a_row_leaves_little_behind():
    """Its record, its texts, 9 bytes for each token of its answer (log-probability, hit, rank) and
    the ids of what was written: no prompt, no logits, no states. 1.3 kB were measured.
    """
    subject = made(0)
    subject.model.generation_config.eos_token_id = None
    want = asks(("answer",), write=True)

    def kept(n):
        rows = tuple(
            Example(f"r{i}", "forget", f"g{i}", "In Town by the River.", f"Where is Person{i % 6}?")
            for i in range(n)
        )
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        found = measure(subject, {"forget": rows}, {"forget": want}, max_new_tokens=8)
        gc.collect()
        assert len(found.records) == n
        return tracemalloc.get_traced_memory()[0] - before

    tracemalloc.start()
    try:
        kept(8)  # what is made once
        few, many = kept(100), kept(400)
    finally:
        tracemalloc.stop()
    assert many - few < 300 * 2000
