"""What an edit may look at, against the same worked out row by row; and that it sees each thing by
its name.
"""

from dataclasses import replace

import pytest
import torch
from small import held, small_model, small_subject, streams
from torch.testing import assert_close
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    OPTConfig,
    OPTForCausalLM,
)

from expunge.core.errors import Refused
from expunge.core.stages import Descent, Edit
from expunge.losses.terms import nll
from expunge.models.causal_lm.sites import Site, matrix_name, module_of, oriented, sites_of
from expunge.training.edit import EditContext, answer_tokens, last_prompt_token, predicting_tokens
from expunge.training.sampler import Training
from expunge.training.stages import change

ROWS = streams()
KEY = Site("mlp_key", 1)


def context(model=None, **kwargs):
    return EditContext(held(model or small_model().double()), ROWS, **kwargs)


def alone(model, row):
    """Mean negative log-likelihood of a row's answer, by itself."""
    logits = model(input_ids=torch.tensor([row.ids]), use_cache=False).logits[0].log_softmax(-1)
    asked = [i for i, s in enumerate(row.scored) if s]
    return -torch.stack([logits[i - 1, row.ids[i]] for i in asked]).sum()


def keys_of(model, row):
    """What the second block's down_proj reads, position by position."""
    held = []
    handle = model.model.layers[1].mlp.down_proj.register_forward_pre_hook(
        lambda _m, args: held.append(args[0][0])
    )
    with torch.no_grad():
        model(input_ids=torch.tensor([row.ids]), use_cache=False)
    handle.remove()
    return held[0]


# ------------------------------------------------------------------ gradients


def test_the_gradient_is_that_of_one_step_of_all_rows():
    """Several batches of 5 against the sum row by row over all scored tokens; the model keeps no
    gradient.
    """
    model = small_model().double()
    found = context(model, batch=5).gradient(nll("retain"))
    tokens = sum(sum(r.scored) for r in ROWS["retain"])
    total = sum(alone(model, r) for r in ROWS["retain"]) / tokens
    for (name, p), g in zip(
        model.named_parameters(), torch.autograd.grad(total, list(model.parameters()))
    ):
        assert_close(found[name], g)
        assert p.grad is None


def test_terms_are_weighed_by_their_coefficients():
    both = context().gradient(nll("retain"), -2.0 * nll("forget", "seqmean"))
    kept, gone = context().gradient(nll("retain")), context().gradient(nll("forget", "seqmean"))
    paired = context().gradient(-2.0 * nll("forget", "seqmean"), nll("retain"))
    name = "model.norm.weight"
    # the first term's rows are met once, the others are their partners
    assert not torch.equal(both[name], paired[name])
    assert_close(context().gradient(-2.0 * nll("forget", "seqmean"))[name], -2.0 * gone[name])
    assert_close(context().gradient(3.0 * nll("retain"))[name], 3.0 * kept[name])


def test_squares_are_of_each_row_and_not_of_their_mean():
    model = small_model().double()
    found = context(model).squared_gradient(nll("forget"))
    rows = ROWS["forget"]
    for name, p in model.named_parameters():
        squares = [
            torch.autograd.grad(alone(model, r) / sum(r.scored), p)[0].square() for r in rows
        ]
        assert_close(found[name], sum(squares) / len(rows))
    whole = context(model).squared_gradient(nll("forget"), group=len(rows))
    assert_close(
        whole["lm_head.weight"]
        if "lm_head.weight" in whole
        else whole["model.embed_tokens.weight"],
        context(model).gradient(nll("forget"))["model.embed_tokens.weight"].square(),
    )


def test_only_what_may_change_is_measured_and_16_bit_gradients_add_up_in_32():
    model = small_model().bfloat16()
    for name, p in model.named_parameters():
        p.requires_grad_("down_proj" in name)
    found = context(model).squared_gradient(nll("forget"))
    assert set(found) == {n for n, _ in model.named_parameters() if "down_proj" in n}
    assert {x.dtype for x in found.values()} == {torch.float32}
    assert all(p.grad is None for p in model.parameters())


# ------------------------------------------------------------------ activations


@pytest.mark.parametrize("positions", [answer_tokens, predicting_tokens, last_prompt_token])
def test_activations_are_those_of_each_row_alone(positions):
    model = small_model().double()
    seen = 0
    for part in context(model).activations((KEY, Site("block", 0)), "forget", positions):
        for i, row in enumerate(part.rows):
            expected = keys_of(model, row)[list(positions(row))]
            assert_close(part.values[KEY][part.row_of == i], expected)
            seen += len(expected)
        assert part.values[Site("block", 0)].shape == (len(part.row_of), 32)
    assert seen == sum(len(positions(r)) for r in ROWS["forget"])


def test_first_tokens_and_padding_are_left_out():
    part = list(context().activations(KEY, "retain"))
    assert sum(len(p.row_of) for p in part) == sum(len(r) - 1 for r in ROWS["retain"])


def test_moments_are_those_of_all_tokens_together():
    model = small_model()
    x = torch.cat([keys_of(model, r)[1:] for r in ROWS["retain"]]).double()
    found = context(model).covariance(KEY, "retain")
    assert found.products.dtype == torch.float64 and found.n == len(x)
    assert_close(found.mean, x.mean(0), rtol=1e-5, atol=1e-7)
    assert_close(found.second, x.T @ x / len(x), rtol=1e-5, atol=1e-7)
    assert_close(found.covariance, torch.cov(x.T, correction=0), rtol=1e-5, atol=1e-7)


def test_the_value_gradient_is_the_slope_of_the_loss():
    """Central differences along it."""
    where = context()
    site, vector = (
        Site("mlp", 1),
        torch.randn(32, generator=torch.Generator().manual_seed(0)).double(),
    )
    value, slope = where.value_gradient(site, vector, nll("forget"))
    step = 1e-2 * slope / slope.norm()  # norms are taken in float32, so small differences are noise
    up, down = (where.value_gradient(site, vector + s, nll("forget"))[0] for s in (step, -step))
    assert_close((up - down) / 2e-2, slope.norm(), rtol=1e-2, atol=0.0)
    module, forget = where.model.module, ROWS["forget"]
    mean = sum(alone(module, r) / sum(r.scored) for r in forget) / len(forget)
    assert_close(
        where.value_gradient(site, torch.zeros(32).double(), nll("forget"))[0], mean.detach()
    )
    assert all(p.grad is None for p in module.parameters()) and value.requires_grad is False


SMALL = dict(
    vocab_size=64, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48
)
OTHERS = {
    "gpt2": lambda: GPT2LMHeadModel(
        GPT2Config(vocab_size=64, n_embd=32, n_layer=2, n_head=2, n_inner=48)
    ),
    "gpt_neox": lambda: GPTNeoXForCausalLM(GPTNeoXConfig(**SMALL)),
    "opt": lambda: OPTForCausalLM(
        OPTConfig(
            vocab_size=64,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            ffn_dim=48,
            word_embed_proj_dim=32,
        )
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_keys_are_found_in_other_architectures(name):
    """The matrix that reads a key, [out, in], times the key is what the MLP adds, whichever way it
    is kept.
    """
    model = OTHERS[name]().eval()
    for kind, width in (("mlp_key", 48), ("attention_key", 32)):
        for site in sites_of(model, kind):
            module = module_of(model, site)
            assert oriented(
                module, dict(model.named_parameters())[matrix_name(model, site)]
            ).shape == (32, width)
    part = next(context(model).activations(KEY, "forget"))
    assert part.values[KEY].shape[1] == 48


def test_a_site_that_is_not_there_is_refused():
    with pytest.raises(
        Refused, match=r"site mlp_key\[9\] of a model with 3 blocks; choose a block from 0 to 2"
    ):
        next(context().activations(Site("mlp_key", 9), "forget"))
    model = small_model()
    del model.model.layers[1].mlp.down_proj
    with pytest.raises(
        Refused,
        match=r"must have exactly one of down_proj.*its parts are gate_proj, up_proj, act_fn",
    ):
        next(context(model).activations(KEY, "forget"))
    with pytest.raises(ValueError, match="mlp_keys"):
        Site("mlp_keys", 0)
    with pytest.raises(Refused, match="world rows and there are none; give them with --world"):
        context().rows("world")


# ------------------------------------------------------------------ edits carried out


def zeroed(where):
    """The matrices that may change, to zero; what it saw is kept."""
    SAW.append(where)
    return {n: -w for n, w in where.trained.items()}


SAW = []


def test_an_edit_sees_its_rows_its_models_by_name_and_changes_what_it_may(tmp_path):
    SAW.clear()
    learn = [Descent(n, (nll("forget"),), into=n) for n in ("zebra", "ant")]
    cut = Edit("cut", zeroed, frozenset({"zebra", "ant"}), ("retain",), r"\.down_proj\.")
    start = small_subject()
    training = Training(lr=1e-2, steps=2, batch=4, save_every=0, seed=7)
    settings = {"zebra": {"steps": 3}, "ant": {"steps": 1}}
    stages = (*(replace(s, training=settings[s.name]) for s in learn), cut)
    after = change(start, stages, ROWS, training, tmp_path)
    seen = SAW[0]
    assert (
        seen.seed == 7
        and set(seen.streams) == {"retain"}
        and set(seen.auxiliaries) == {"zebra", "ant"}
    )
    before = dict(start.model.named_parameters())
    one, other = (seen.auxiliaries[n]["model.norm.weight"] for n in ("ant", "zebra"))
    assert (one - before["model.norm.weight"]).norm() < (other - before["model.norm.weight"]).norm()
    for name, p in after.model.named_parameters():
        assert bool((p == 0).all()) == ("down_proj" in name) and p.requires_grad
        assert "down_proj" in name or torch.equal(p, before[name])
