"""Next-token distributions beside gold's: against scipy on a plain loop, both ends, the metric, the
command, what is kept.
"""

import json
import math

import numpy as np
import pytest
import torch
from another import another
from asking import asks
from commands import desk, expunge, model  # noqa: F401
from evaluation.observations.test_hidden_states import ROWS, made, places
from scipy.spatial.distance import jensenshannon
from scipy.special import rel_entr, softmax

from expunge.core.errors import Refused
from expunge.core.results import Records
from expunge.evaluation.cache import measured
from expunge.evaluation.observations.base import References
from expunge.evaluation.observations.gold_divergence import GoldDivergence, between, divergences
from expunge.evaluation.observe import measure
from expunge.metrics.divergence_from_gold import divergence_from_gold
from expunge.models.causal_lm.tokenize import encode
from expunge.scoring.per_row import DIVERGENCES

ASKED = {"forget": asks(observations=(GoldDivergence(),))}


@pytest.fixture(scope="module")
def two():
    return made(0), made(1)


def test_scipys_on_a_plain_loop(two):
    mine, gold = two
    rows = encode(mine.tokenizer, ROWS)
    for row, found in zip(rows, divergences(mine, gold, rows), strict=True):
        with torch.no_grad():
            p, q = (
                softmax(
                    s.model(torch.tensor([row.ids])).logits[0, places(row)].double().numpy(), -1
                )
                for s in (mine, gold)
            )
        expected = {
            "js": np.mean([jensenshannon(a, b) ** 2 for a, b in zip(p, q, strict=True)]),
            "kl": rel_entr(q, p).sum(-1).mean(),
            "reverse_kl": rel_entr(p, q).sum(-1).mean(),
            "tv": np.abs(p - q).sum(-1).mean() / 2,
        }
        assert found == pytest.approx([expected[k] for k in DIVERGENCES], abs=1e-5)


def test_the_same_model_is_at_0_and_strangers_at_the_top(two):
    rows = encode(two[0].tokenizer, ROWS)
    assert np.concatenate(divergences(two[0], two[0], rows)) == pytest.approx(0, abs=1e-6)
    one, other = torch.tensor([[200.0, 0.0]]), torch.tensor([[0.0, 200.0]])
    assert between(one, other)[0, [0, 3]].tolist() == pytest.approx([math.log(2), 1])


def test_jensen_shannon_and_total_variation_are_the_same_both_ways(two):
    rows = encode(two[0].tokenizer, ROWS)
    there, back = (np.array(divergences(a, b, rows)) for a, b in (two, two[::-1]))
    assert there[:, [0, 3]] == pytest.approx(back[:, [0, 3]], abs=1e-6)
    assert there[:, 1] == pytest.approx(back[:, 2], abs=1e-5)  # kl one way is reverse_kl the other


def test_other_vocabularies_are_refused(two):
    small = made(2)
    small.model.resize_token_embeddings(299)
    with pytest.raises(Refused, match="distributions cannot be compared"):
        divergences(two[0], small, encode(two[0].tokenizer, ROWS))


def test_the_metric_is_the_mean_over_rows_and_tells_all_four(row):
    values = np.array(
        [[0.1, 0.2, 0.3, 0.4], [0.3, 0.4, 0.5, 0.6], [0.2, 0.9, 0.7, 0.5]], dtype=np.float32
    )
    records = Records(row(i=i, divergence=v) for i, v in enumerate(values))
    m = divergence_from_gold(records, "forget")
    assert m.value == pytest.approx(0.2) and (m.n, m.better) == (3, "lower")
    assert m.parts == pytest.approx({"js": 0.2, "kl": 0.5, "reverse_kl": 0.5, "tv": 0.5})
    assert divergence_from_gold(records, "forget", kind="kl").value == pytest.approx(0.5)
    assert "--gold" in divergence_from_gold(Records([row()]), "forget").reason
    assert "--retain" in divergence_from_gold(records, "retain").reason
    broken = Records(row(i=i, divergence=v * math.nan) for i, v in enumerate(values))
    assert divergence_from_gold(broken, "forget").value is None


def test_two_models_side_by_side_are_counted_and_kept(two, tmp_path, monkeypatch):
    mine, gold = two
    monkeypatch.setenv("EXPUNGE_CACHE", str(tmp_path))
    ask = lambda gold: measured(
        mine, {"forget": ROWS}, ASKED, references=References(gold=gold), salt="s"
    )
    first, cost = ask(gold)
    assert cost.more == {"rows beside gold": len(ROWS)}
    again, cost = ask(gold)
    assert cost is None
    assert [r.observed["divergence"].tolist() for r in again] == [
        r.observed["divergence"].tolist() for r in first
    ]
    _, cost = ask(made(3))
    assert cost.more  # another gold is another question
    assert (
        "divergence" not in measure(mine, {"forget": ROWS}, ASKED).records.of("forget")[0].observed
    )


def test_from_the_command_line(desk, expunge):  # noqa: F811
    words = (
        "eval",
        *desk.data("forget", "retain"),
        "--model",
        desk.model,
        "--metrics",
        "divergence_from_gold",
        "--quiet",
    )
    gold = another(desk.model, desk.place / "gold")
    code, _, said = expunge(*words, "--gold", gold, "--out", desk.place / "o")
    assert code == 0 and "rows beside gold" not in said
    found = json.loads((desk.place / "o" / "measurements.json").read_text())
    assert found["forget/divergence_from_gold"]["value"] == pytest.approx(0, abs=0.05)
    assert expunge(*words, "--out", desk.place / "alone")[0] == 0
    assert (
        "--gold"
        in json.loads((desk.place / "alone" / "measurements.json").read_text())[
            "forget/divergence_from_gold"
        ]["reason"]
    )
