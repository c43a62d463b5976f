"""What every member owes, whoever wrote it: run on whatever the catalogue finds."""

import copy
from dataclasses import replace

import pytest
import torch
from small import held, small_subject, streams

from expunge import registry
from expunge.core.errors import Refused
from expunge.core.fields import option_names
from expunge.core.requests import AutoRequest, TrainRequest, UnlearnRequest
from expunge.core.stages import Descent, Edit, Retrain, stages, streams_of
from expunge.losses import reweighting
from expunge.losses.inputs import LossInputs
from expunge.models.causal_lm.forward import forward, pack
from expunge.models.modules import digest_tensors
from expunge.training.sampler import Training, plan
from expunge.training.stages import change
from expunge.training.teachers import freeze, layers_of
from expunge.training.trainer import descend, passes, values_of

# what a model of three blocks, or a third of all rows to forget, needs
SMALL = {"rmu": {"layer": 1}, "ssd": {"alpha": 1.0}}
TRAINING = Training(lr=1e-3, steps=2, batch=4, save_every=0, seed=1)


def built(name):
    return stages(registry.resolve("methods", name, SMALL.get(name, {})))


def descents():
    """(method, stage) of every Descent of every method."""
    return [
        (name, i)
        for name in registry.names("methods")
        for i, s in enumerate(built(name))
        if isinstance(s, Descent)
    ]


@pytest.fixture(params=descents(), ids=lambda p: f"{p[0]}-{p[1]}")
def seen(request, tmp_path):
    """The stage's terms with real Passes of a small model whose start is another model."""
    name, i = request.param
    stage = built(name)[i]
    start, now, other = (small_subject(s).model.double() for s in (0, 1, 2))
    units = plan(stage, streams(), TRAINING)[0]
    auxiliary = {
        p: replace(small_subject(2), model=other)
        for t in stage.terms
        if t.provider
        for p in t.provider.sources
        if p != "start"
    }
    frozen = freeze(held(start), stage, [units], auxiliary, tmp_path, lambda n: None, streams())
    found = passes(held(now), stage.terms, units, frozen)
    return [
        (t, [teachered(t, found[s, t.span], frozen, units, s) for s in t.streams])
        for t in stage.terms
        if t.streams
    ]


def teachered(term, p, frozen, units, stream):
    if term.name not in frozen.teachers:
        return p
    return replace(
        p,
        teacher=frozen.teachers[term.name].rows(
            [u[stream] for u in units], term.span, p.labels[p.at], p.logits
        ),
    )


def tensors(p):
    """The differentiable inputs of a LossInputs."""
    return {k: getattr(p, k) for k in ("logp", "logits") if getattr(p, k) is not None} | {
        f"hidden:{k}": h for k, h in p.hidden.items()
    }


def with_tensors(p, new):
    hidden = {int(k.split(":")[1]): v for k, v in new.items() if k.startswith("hidden:")}
    return replace(
        p, hidden=hidden, **{k: v for k, v in new.items() if not k.startswith("hidden:")}
    )


def rows_of(p: LossInputs, index):
    """Some rows of a LossInputs, in the order given."""
    pick = lambda x: None if x is None else x[index]
    at, logits, teacher = p.at, p.logits, p.teacher
    if at is not None:
        parts = [(at[0] == i).nonzero()[:, 0] for i in index]
        n = torch.cat(parts)
        new_b = torch.cat([torch.full_like(x, j) for j, x in enumerate(parts)])
        at = (new_b, p.at[1][n])
        logits, teacher = (None if x is None else x[n] for x in (logits, teacher))
    return replace(
        p,
        row_id=tuple(p.row_id[i] for i in index),
        mask=p.mask[index],
        labels=p.labels[index],
        logp=pick(p.logp),
        start_logp=pick(p.start_logp),
        weight=pick(p.weight),
        hidden={k: h[index] for k, h in p.hidden.items()},
        start_hidden={k: h[index] for k, h in p.start_hidden.items()},
        at=at,
        logits=logits,
        teacher=teacher,
    )


def test_one_value_per_example(seen):
    for term, ps in seen:
        assert term(*ps).shape == (len(ps[0]),)


def test_unscored_tokens_do_not_matter(seen):
    for term, ps in seen:
        spoilt = []
        for p in ps:
            bad = lambda x, p=p: x.masked_fill(
                ~(p.mask if x.dim() == 2 else p.mask[..., None]), float("nan")
            )
            hidden, start_hidden = (
                {k: bad(h) for k, h in part.items()} for part in (p.hidden, p.start_hidden)
            )
            logp, start = (None if x is None else bad(x) for x in (p.logp, p.start_logp))
            spoilt.append(
                replace(p, logp=logp, start_logp=start, hidden=hidden, start_hidden=start_hidden)
            )
        assert torch.equal(term(*spoilt), term(*ps))


def test_order_and_size_of_the_batch_do_not_matter(seen):
    for term, ps in seen:
        index = [2, 0, 3, 1]
        whole = term(*ps)
        torch.testing.assert_close(term(*(rows_of(p, index) for p in ps)), whole[index])
        torch.testing.assert_close(
            torch.cat([term(*(rows_of(p, [i]) for p in ps)) for i in range(4)]), whole
        )


class Held:
    """Detached weights as the first evaluation found them: what a perturbed one must not move
    (``losses.reweighting.fixed``).
    """

    def __init__(self):
        self.kept, self.next = [], 0

    def __call__(self, x):
        if self.next == len(self.kept):
            self.kept.append(x.detach().clone())
        self.next += 1
        return self.kept[self.next - 1]


def test_gradients_are_right(seen, monkeypatch):
    """gradcheck in float64 with respect to everything that a term may differentiate; detached
    weights held still.
    """
    for term, ps in seen:
        held = Held()
        monkeypatch.setattr(reweighting, "detached", held)
        few = [rows_of(p, [0, 1]) for p in ps]
        inputs = [
            {k: v.detach().clone().requires_grad_() for k, v in tensors(p).items()} for p in few
        ]
        flat = [v for part in inputs for v in part.values()]

        def value(*xs, term=term, few=few, inputs=inputs, held=held):
            xs, held.next = iter(xs), 0
            return term(
                *(with_tensors(p, {k: next(xs) for k in part}) for p, part in zip(few, inputs))
            ).sum()

        assert torch.autograd.gradcheck(value, flat, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("extreme", [0.0, -1e4])
def test_finite_at_certainty_and_at_the_impossible(seen, extreme):
    for term, ps in seen:
        far = [
            with_tensors(
                p,
                tensors(p)
                | ({"logp": torch.full_like(p.logp, extreme)} if p.logp is not None else {}),
            )
            for p in ps
        ]
        assert torch.isfinite(term(*far)).all()


def cosine(a, b):
    return (
        sum((x * y).sum() for x, y in zip(a, b))
        / (sum((x * x).sum() for x in a) * sum((y * y).sum() for y in b)).sqrt()
    )


SIGNED = {"kga"}  # its rule minimizes the size of the term, whatever its sign
MERGED = {"model_merging"}  # their edit merges copies that have forgotten already
# the arg-max of the edited teacher is often still the label: its step has no sure sign
CLAIMED_WITH = {"whp": {"targets": "soft"}}
CLAIMS = {
    "lowers_logp": ("forget", -1),
    "raises_refusal": ("alternate", 1),
    "learns_relabeled": ("relabelled", 1),
}


@pytest.fixture(scope="module")
def knowing(tmp_path_factory):
    """A small model that half knows its rows: what has never been learned cannot be seen to go."""
    both = Descent(
        "both",
        (
            registry.resolve_term("nll", stream="forget"),
            registry.resolve_term("nll", stream="retain"),
        ),
    )
    return descend(
        small_subject(1),
        both,
        streams(),
        Training(lr=1e-2, steps=40, batch=12, save_every=0),
        tmp_path_factory.mktemp("knowing"),
    )


def mean_logp(model):
    """Of the forget answers' tokens."""
    packed = pack(streams()["forget"])
    with torch.no_grad():
        return -torch.nn.functional.cross_entropy(
            forward(model, packed).logits, packed.labels
        ).item()


@pytest.mark.parametrize("name", registry.names("methods"))
def test_a_small_step_does_what_the_card_claims(name, tmp_path, knowing):
    """The sign of a cosine between minus the loss's gradient and the gradient of what the card
    claims to move. Scale-free.
    """
    claims = registry.member("methods", name).card["claims"]
    stage = stages(
        registry.resolve("methods", name, SMALL.get(name, {}) | CLAIMED_WITH.get(name, {}))
    )[-1]
    if isinstance(stage, Retrain):
        assert claims == "exact"  # no step is claimed; the member's own test holds the bits
        return
    if isinstance(stage, Edit) and len(built(name)) == 1:
        assert claims == "lowers_logp"
        after = change(copy.deepcopy(knowing), stage, streams(), TRAINING, tmp_path)
        assert mean_logp(after.model) < mean_logp(knowing.model)
        return
    # the edit undoes a fine-tuning on forget: the step of that stage, turned round
    if isinstance(stage, Edit):
        stage, turn = built(name)[-2], 1.0 if name in MERGED else -1.0
    else:
        turn = 1.0
    model = copy.deepcopy(knowing.model).double()
    data = streams()
    units = plan(stage, data, replace(TRAINING, batch=12))[0]
    auxiliary = {
        s.into: descend(
            copy.deepcopy(knowing), s, data, replace(TRAINING, steps=20), tmp_path / s.into
        )
        for s in built(name)[:-1]
        if isinstance(s, Descent) and s.into
    }
    for other in auxiliary.values():
        other.model.double()
    frozen = freeze(held(model), stage, [units], auxiliary, tmp_path, lambda n: None, data)
    if claims == "moves_hidden":
        seen = passes(held(model), stage.terms, units, frozen)
        term = stage.terms[0]
        layer = layers_of([term], "hidden")[0]
        before = seen["forget", "answer"].hidden[layer]
        (step,) = torch.autograd.grad(term(seen["forget", "answer"]).sum(), before)
        assert step.norm() > 0 and not any(n.endswith("logp") for n in term.needs)
        return
    stream, sign = CLAIMS[claims]
    params = [p for p in model.parameters() if p.requires_grad]
    forget = [t for t in stage.terms if stream in t.streams and t.group != "adversary"]
    found = values_of(forget, units, passes(held(model), forget, units, frozen), frozen)
    down = torch.autograd.grad(sum(t.coef * found[t.name] for t in forget), params)
    watch = Descent("watch", (registry.resolve_term("ascent", stream=stream),))
    logp = passes(held(model), watch.terms, [{stream: u[stream]} for u in units], frozen)[
        stream, "answer"
    ]
    up = torch.autograd.grad(logp.logp[logp.mask].sum(), params)
    if name in SIGNED:
        turn = 1.0 if sum(t.coef * found[t.name] for t in forget) > 0 else -1.0
    assert turn * sign * cosine([-g for g in down], up) > 0


@pytest.mark.parametrize("name", registry.names("methods"))
def test_inputs_stay_untouched_and_the_seed_decides(name, tmp_path):
    start = small_subject()
    before = digest_tensors(start.model)
    if isinstance(built(name)[-1], Retrain):
        # it goes on from what it made itself, and takes no other model
        with pytest.raises(Refused, match="not an ensemble of shards"):
            change(start, built(name), streams(), TRAINING, tmp_path)
        assert digest_tensors(start.model) == before
        return
    results = [change(start, built(name), streams(), TRAINING, tmp_path / str(i)) for i in range(2)]
    assert digest_tensors(start.model) == before
    assert digest_tensors(results[0].model) == digest_tensors(results[1].model) != before


@pytest.mark.parametrize("room", ["methods", "attacks", "metrics", "benchmarks"])
def test_cards_are_complete_and_arguments_are_our_own(room):
    """Of metrics and benchmarks the run itself gives gold, data, holdout and subset; they stand on
    no command line twice.
    """
    for name in registry.names(room):
        member = registry.member(room, name)
        assert member.card["paper"] and (
            member.card["url"] or member.card["paper"] == "built in"
        ), name
        assert member.summary.endswith((".", "?", "!")), name
        own = {a.name for a in member.arguments} if room in ("methods", "attacks") else set()
        taken = own & (
            option_names([TrainRequest, UnlearnRequest, AutoRequest]) | {"debug", "help", "verb"}
        )
        assert not taken, f"{room}/{name}: {taken} are options of every command"


@pytest.mark.parametrize("name", registry.names("methods"))
def test_every_stream_is_one_that_a_run_can_give(name):
    assert streams_of(built(name)) <= {
        "forget",
        "retain",
        "alternate",
        "mismatch",
        "renamed",
        "relabelled",
        "retain_refused",
    }


def test_descend_is_the_only_loop():
    assert descend.__module__ == "expunge.training.trainer"
