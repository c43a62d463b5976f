"""JensUn by hand."""

from math import log

import pytest
import torch
from napkin import a_pass
from small import rows

from expunge.core.errors import Refused
from expunge.losses.inputs import loss_of
from expunge.losses.terms import jsd, jsd_rows
from expunge.methods.jensun import jensun
from expunge.models.causal_lm.model import Subject
from expunge.synthesis.tools import Tools


def test_uniform_against_certain():
    forget = jensun()[1].terms[0]
    assert loss_of(
        forget, a_pass(logits=[[0.0] * 4], labels=[2], stream="relabelled")
    ).item() == pytest.approx(0.380396, abs=1e-6)


@pytest.mark.parametrize("p,value", [(1.0, 0.0), (1e-300, log(2))])
def test_it_ends_at_nothing_and_at_ln_2(p, value):
    assert loss_of(jensun()[1].terms[0], a_pass(p=[p])).item() == pytest.approx(value, abs=1e-6)


def test_the_one_word_form_is_the_divergence_of_rows():
    z = torch.tensor([[0.6, 0.2, 0.15, 0.05], [0.1, 0.2, 0.3, 0.4]], dtype=torch.float64).log()
    certain = torch.full_like(z, -torch.inf).index_put(
        (torch.arange(2), torch.tensor([1, 3])), torch.tensor(0.0).double()
    )
    p = a_pass(logits=z, labels=[1, 3], teacher=certain)
    assert loss_of(jensun()[1].terms[0], p).item() == pytest.approx(
        loss_of(jsd(stream="forget"), p).item(), abs=1e-12
    )


def test_rows_are_symmetric_and_nothing_when_equal():
    p, q = torch.randn(2, 5, 7, generator=torch.Generator().manual_seed(0)).double()
    torch.testing.assert_close(jsd_rows(p, q), jsd_rows(q, p))
    assert jsd_rows(p, p + 3.0).abs().max() < 1e-12 and jsd_rows(p, q).max() < log(2)


class Words:
    """A tokenizer that knows two words."""

    def __call__(self, text, add_special_tokens):
        return {"input_ids": [{"no": 40, "idea": 41}[w] for w in text.split()]}


def test_the_pattern_goes_round_over_every_scored_token_and_the_inputs_stay():
    tools, forget = Tools(subject=lambda: Subject(None, Words(), "words")), rows("forget", 6)
    made = jensun()[0].fn({"forget": forget}, tools)
    for row, old in zip(made, forget):
        n = sum(old.scored)
        assert [t for t, s in zip(row.labels, row.scored) if s] == ([40, 41] * n)[:n]
        assert (
            row.ids == old.ids
            and row.labels[: row.n_prompt] == old.ids[: row.n_prompt]
            and row.role == "relabelled"
        )
    with pytest.raises(Refused, match="no token"):
        jensun(pattern="")[0].fn({"forget": forget}, tools)
