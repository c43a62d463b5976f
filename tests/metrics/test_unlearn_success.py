import numpy as np
import pytest
import torch

from expunge.core.results import Records
from expunge.metrics.unlearn_success import unlearn_success


def test_by_hand(row):
    assert unlearn_success(Records([row(hit=[True, False, True, True])]), "forget").value == 25


def test_ends_and_direction(row):
    rows = Records([row(hit=[True] * 3), row("forget_trained", hit=[False] * 3)])
    assert [unlearn_success(rows, r).value for r in ("forget", "forget_trained")] == [0, 100]
    assert unlearn_success(rows, "forget").better == "higher"


def test_rows_weigh_alike_whatever_their_length(row):
    rows = Records([row(i=0, hit=[True] * 2), row(i=1, hit=[False] * 8)])
    assert unlearn_success(rows, "forget").value == 50


def test_ids_kept_as_bfloat16_would_lose_true_hits(unlearned):
    """The reference code's fault: most ids above 256 do not survive, so a model that knows every
    token looks forgotten.
    """
    ids = torch.arange(32000)
    survive = (ids.to(torch.bfloat16).long() == ids).float().mean().item()
    assert survive < 0.05
    found = [100 * (1 - np.mean(r.hit)) for r in unlearned.of("forget")]
    assert unlearn_success(unlearned, "forget").value == pytest.approx(np.mean(found), rel=1e-12)


def test_without_hits_it_is_said(row):
    assert unlearn_success(Records([row(mean_loss=1.0)]), "forget").value is None
    assert unlearn_success(Records(), "forget").reason == "no rows of role forget; give --forget"


def test_of_what_is_to_be_kept_it_says_nothing(row):
    """A high number under this name on retain rows would read as unlearned, and means kept."""
    m = unlearn_success(Records([row("retain", hit=[True] * 3)]), "retain")
    assert m.value is None and "retention_success" in m.reason
