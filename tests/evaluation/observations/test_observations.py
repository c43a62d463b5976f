"""The optional passes against plain loops: prefixes, samples, continuations, gradients, lower case,
and what hits the limit.
"""

import gc
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from asking import asks
from record_fields import every_field

from expunge.core.data import Example
from expunge.core.errors import Refused
from expunge.evaluation.observations.activation_patching import ActivationPatching
from expunge.evaluation.observations.base import References, merged
from expunge.evaluation.observations.choice_states import ChoiceStates
from expunge.evaluation.observations.extraction import Extraction, cuts_of, overlaps
from expunge.evaluation.observations.few_shot_prefix import (
    FewShotPrefix,
    behind,
    prefix_of,
    prefixed,
    shots_of,
)
from expunge.evaluation.observations.gold_divergence import GoldDivergence
from expunge.evaluation.observations.gradient_norm import GradientNorm, gradient_norms, without_end
from expunge.evaluation.observations.hidden_states import HiddenStates
from expunge.evaluation.observations.logit_lens import LogitLens
from expunge.evaluation.observations.sampling import Sampling, samples
from expunge.evaluation.observations.teacher_forced import lowered
from expunge.evaluation.observe import measure, work
from expunge.models.causal_lm import prefix_cache, tiny
from expunge.models.causal_lm.answer_spans import Tokens
from expunge.models.causal_lm.answer_trees import goes_on
from expunge.models.causal_lm.model import Subject
from expunge.models.causal_lm.tokenize import encode
from expunge.models.decoding import nucleus
from expunge.models.modules import digest_tensors
from expunge.scoring.overlap import overlap

N = 6


def rows_of(role, n=N, groups=3):
    return tuple(
        Example(
            f"{role}{i}",
            role,
            f"{role}-g{i % groups}",
            f"In Town{i} by the River {role}.",
            f"Where is Person{i}?",
        )
        for i in range(n)
    )


ROLES = {"forget": rows_of("forget"), "holdout": rows_of("holdout", 8, 4)}
TEXTS = [t for rows in ROLES.values() for e in rows for t in (e.prompt, e.answer)]
RAW = {
    "forget": tuple(
        Example(f"t{i}", "forget", f"d{i}", text=f"A long text number {i} about Rivers and Towns.")
        for i in range(3)
    )
}


@pytest.fixture(scope="module")
def subject():
    model, tokenizer = tiny.build(TEXTS, layers=2, width=32, ffn=64, vocab=300)
    torch.manual_seed(0)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p) * 0.05)  # so that arg-maxes differ from place to place
    return Subject(model, tokenizer, "tiny", None, digest_tensors(model))


def plain_logp(subject, row):
    """Of the whole row, in one sequence."""
    with torch.no_grad():
        logp = subject.model(torch.tensor([row.ids])).logits[0].float().log_softmax(-1)
    return np.array([float(logp[t - 1, row.ids[t]]) for t, yes in enumerate(row.scored) if yes])


def seen(subject, *observations, roles=ROLES, variants=("answer",), **kw):
    wants = {role: asks(variants, observations=observations) for role in roles}
    ticks = []
    found = measure(subject, roles, wants, max_new_tokens=8, tick=ticks.append, **kw)
    assert sum(ticks) >= work(roles, wants) - len(roles["forget"]) * 2
    return found


# ------------------------------------------------------------------ lower case


def test_lower_case_is_another_answer_to_the_same_prompt(subject):
    found = seen(subject, variants=("answer", "lower"))
    made = [replace(e, answer=e.answer.lower()) for e in ROLES["forget"]]
    for record, row in zip(
        found.records.of("forget", "lower"), encode(subject.tokenizer, made), strict=True
    ):
        np.testing.assert_allclose(record.logp, plain_logp(subject, row), atol=1e-4)


def test_lower_case_of_a_raw_text(subject):
    found = measure(subject, RAW, {"forget": asks(("answer", "lower"))})
    rows = encode(subject.tokenizer, [replace(e, text=e.text.lower()) for e in RAW["forget"]])
    for record, row in zip(found.records.of("forget", "lower"), rows, strict=True):
        np.testing.assert_allclose(record.logp, plain_logp(subject, row), atol=1e-4)
    assert [e.text for e in lowered(RAW["forget"])] == [e.text for e in RAW["forget"]]


# ------------------------------------------------------------------ prefixes


def test_behind_a_prefix_equals_the_plain_concatenation(subject):
    found = seen(subject, FewShotPrefix(3))
    prefix = prefix_of(subject, shots_of(ROLES["holdout"], 3), 512)
    assert len(prefix) > 20
    rows = {
        r.id: behind(prefix, r, Tokens(subject.tokenizer).head)
        for role in ROLES
        for r in encode(subject.tokenizer, ROLES[role])
    }
    records = found.records.of("forget", "prefix") + found.records.of("holdout", "prefix")
    for r in records:
        np.testing.assert_allclose(r.logp, plain_logp(subject, rows[r.id]), atol=1e-4)
    assert found.cost.more == {"rows behind a prefix": len(records)}


def test_the_groups_of_the_shots_are_not_scored(subject):
    told = {e.group for e in shots_of(ROLES["holdout"], 3)}
    assert len(told) == 2  # as few groups as three rows of twos allow
    groups = {r.group for r in seen(subject, FewShotPrefix(3)).records.of("holdout", "prefix")}
    assert groups == {e.group for e in ROLES["holdout"]} - told


def test_what_begins_a_text_stands_once(subject):
    """The reference code tokenizes prefix and text apart, so that bos stands in the middle."""
    head = (7,)
    row = replace(encode(subject.tokenizer, ROLES["forget"][:1])[0])
    texted = replace(row, ids=(7, *row.ids), scored=(False, *row.scored), n_prompt=row.n_prompt + 1)
    made = behind((7, 1, 2), texted, head)
    assert (
        made.ids == (7, 1, 2, *row.ids)
        and sum(made.scored) == sum(row.scored)
        and made.n_prompt == row.n_prompt + 3
    )


def test_a_prefix_goes_through_the_model_once(subject, monkeypatch):
    monkeypatch.setattr(prefix_cache, "LEAST", 16)
    monkeypatch.setattr(prefix_cache, "SPARED", 16)
    assert goes_on(subject.model)  # tried once
    counted = []
    handle = subject.model.model.layers[0].register_forward_hook(
        lambda m, a, out: counted.append((out[0] if isinstance(out, tuple) else out).shape)
    )
    prefix = prefix_of(subject, shots_of(ROLES["holdout"], 3), 512)
    try:
        found = prefixed(
            subject,
            encode(subject.tokenizer, ROLES["forget"]),
            ROLES["holdout"],
            3,
            512,
            lambda n: None,
        )
    finally:
        handle.remove()
    rows = [r for r, _ in found.values()]
    assert len(rows) == N and counted[0][0] == 1 and counted[0][1] >= len(prefix) - 1
    assert sum(s[0] * s[1] for s in counted[1:]) <= len(rows) * (
        max(map(len, rows)) - len(prefix) + 1
    )


def test_a_prefix_that_does_not_fit_gives_nothing(subject):
    assert prefix_of(subject, shots_of(ROLES["holdout"], 3), 4) == ()
    assert not measure(
        subject, {"forget": ROLES["forget"]}, {"forget": asks(observations=(FewShotPrefix(3),))}
    ).records.of("forget", "prefix")


def test_raw_texts_run_on_into_one_another(subject):
    prefix = prefix_of(subject, RAW["forget"][:2], 512)
    assert subject.tokenizer.eos_token_id not in prefix


# ------------------------------------------------------------------ samples


def test_samples_are_seeded_counted_and_scored(subject):
    found = seen(subject, Sampling(5, temperature=0.7))
    again = seen(subject, Sampling(3, temperature=0.7), roles={"forget": ROLES["forget"][2:3]})
    r = found.records.of("forget")[2]
    assert len(r.observed["samples"]) == len(r.observed["sample_logp"]) == 5
    # neither other rows nor their number matter
    assert again.records.of("forget")[0].observed["samples"] == r.observed["samples"][:3]
    assert found.cost.more == {"texts drawn": 5 * 14}


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.5, 1.0), (1.0, 0.3)])
def test_the_log_probability_of_a_sample_is_that_of_its_tokens(subject, temperature, top_p):
    from expunge.models.causal_lm.generate import sampled

    row, logps = encode(subject.tokenizer, ROLES["forget"][:1])[0], []
    prefix = list(row.ids[: row.n_prompt])
    drawn = sampled(
        subject.model,
        [prefix] * 6,
        [6] * 6,
        subject.eos_ids,
        [str(i) for i in range(6)],
        temperature=temperature,
        top_p=top_p,
        logps=logps,
    )
    for ids, told in zip(drawn, logps, strict=True):
        with torch.no_grad():
            z = (
                subject.model(torch.tensor([prefix + ids])).logits[0, len(prefix) - 1 : -1].double()
                / temperature
            )
        p = z.softmax(-1)
        p = nucleus(p, top_p) if top_p < 1 else p
        p = p / p.sum(-1, keepdim=True)
        assert told == pytest.approx([math.log(p[i, t]) for i, t in enumerate(ids)], abs=1e-5)


def test_a_nucleus_by_hand():
    p = torch.tensor([[0.5, 0.3, 0.15, 0.05], [0.05, 0.15, 0.3, 0.5]]).double()
    torch.testing.assert_close(
        nucleus(p, 0.6), torch.tensor([[0.5, 0.3, 0, 0], [0, 0, 0.3, 0.5]]).double()
    )
    torch.testing.assert_close(
        nucleus(p, 0.5), torch.tensor([[0.5, 0, 0, 0], [0, 0, 0, 0.5]]).double()
    )


def test_samples_follow_the_distribution(subject):
    """The first token drawn, 600 times, against its probability."""
    row = encode(subject.tokenizer, ROLES["forget"][:1])[0]
    ((texts, logp),) = samples(
        subject, [row], 600, [1], temperature=1.0, top_p=1.0, seed=0, tick=lambda n: None
    )
    for x in set(logp.tolist()):
        assert np.mean(logp == x) == pytest.approx(math.exp(x), abs=0.08)
    assert len(texts) == 600


# ------------------------------------------------------------------ continuations


def brute_force(subject, row, n, stride):
    end, found = len(row) - row.eos, []
    for cut in range(row.n_prompt, end - n + 1, stride):
        ids = list(row.ids[:cut])
        while len(ids) < end:
            with torch.no_grad():
                ids.append(int(subject.model(torch.tensor([ids])).logits[0, -1].argmax()))
        found.append(overlap(ids[cut:], row.ids[cut:end], n))
    return found


@pytest.mark.parametrize(("n", "stride"), [(2, 1), (3, 2)])
def test_continuations_against_a_generation_from_every_prefix(subject, n, stride):
    found = seen(subject, Extraction(n, stride))
    for r, row in zip(
        found.records.of("forget"), encode(subject.tokenizer, ROLES["forget"]), strict=True
    ):
        assert list(r.observed["overlap"]) == pytest.approx(brute_force(subject, row, n, stride))
        assert len(r.observed["overlap"]) == len(cuts_of(row, n, stride))


def test_a_rest_that_is_hit_all_along_is_not_generated(subject):
    rows = encode(subject.tokenizer, ROLES["forget"][:2])
    hits = [np.ones(sum(r.scored), bool) for r in rows]
    shares, made = overlaps(
        subject,
        rows,
        hits,
        [np.array(r.answer_ids) for r in rows],
        n=2,
        stride=1,
        tick=lambda n: None,
    )
    assert made == 0 and all((s == 1).all() for s in shares)


# ------------------------------------------------------------------ gradients


def plain_gradient(subject, row):
    model = subject.model
    kept = [p.grad for p in model.parameters()]
    for p in model.parameters():
        p.grad = None
    labels = torch.tensor(
        [[t if yes else -100 for t, yes in zip(row.ids, row.scored, strict=True)]]
    )
    model(torch.tensor([row.ids]), labels=labels).loss.backward()
    grads = [p.grad for p in model.parameters()]
    for p, g in zip(model.parameters(), kept, strict=True):
        p.grad = g
    return grads


@pytest.mark.parametrize("eos", [False, True])
def test_gradient_norms_against_a_plain_backward(subject, eos):
    for row in encode(subject.tokenizer, ROLES["forget"][:3]):
        grads = plain_gradient(subject, row if eos else without_end(row))
        flat = torch.cat([g.flatten() for g in grads]).double()
        expected = [
            flat.abs().sum(),
            flat.norm(),
            flat.abs().max(),
            torch.stack([g.norm() for g in grads]).mean(),
        ]
        (found,) = gradient_norms(subject, [row], eos=eos)
        assert found == pytest.approx([float(x) for x in expected], rel=1e-4)


def test_gradients_leave_no_trace(subject):
    """Dropout stays off, .grad as it was, what was frozen frozen."""
    model = subject.model
    weight = next(model.parameters())
    weight.grad = torch.ones_like(weight)
    last = list(model.parameters())[-1]
    last.requires_grad_(False)
    model.train()
    try:
        first = gradient_norms(subject, encode(subject.tokenizer, ROLES["forget"][:1]))
        assert model.training and not last.requires_grad and bool((weight.grad == 1).all())
        model.eval()
        assert gradient_norms(subject, encode(subject.tokenizer, ROLES["forget"][:1]))[
            0
        ] == pytest.approx(first[0])
    finally:
        model.eval()
        last.requires_grad_(True)
        weight.grad = None


def test_gradients_are_counted(subject):
    found = seen(subject, GradientNorm())
    assert found.cost.more == {"gradients": 14}
    assert all(r.observed["grad_norm"].shape == (4,) for r in found.records.of("holdout"))


# ------------------------------------------------------------------ bounds


def test_generation_that_never_stops_is_bounded_and_counted(subject):
    endless = replace(subject, model=Endless(subject.model))
    found = measure(
        endless, {"forget": ROLES["forget"]}, {"forget": asks(write=True)}, max_new_tokens=5
    )
    assert (found.cost.written, found.cost.limited) == (N, N)
    assert all(r.unfinished for r in found.records.of("forget"))
    assert all(len(x["generated"]) == 5 for x in found.ids.values())


class Endless(torch.nn.Module):
    """A model that never says the end token."""

    def __init__(self, model):
        super().__init__()
        self.model, self.config, self.generation_config = (
            model,
            model.config,
            model.generation_config,
        )
        model.get_output_embeddings()

    def forward(self, *args, **kwargs):
        out = self.model(*args, **kwargs)
        out.logits[..., self.config.eos_token_id] = -1e9
        return out

    def get_output_embeddings(self):
        return self.model.get_output_embeddings()

    def get_input_embeddings(self):
        return self.model.get_input_embeddings()


def test_two_ways_of_one_pass_are_refused():
    assert merged([Sampling(4)], [GradientNorm(), Sampling(4)]) == (GradientNorm(), Sampling(4))
    with pytest.raises(Refused, match="two metrics ask for extraction in two ways"):
        merged([Extraction(10)], [Extraction(5)])


EVERY = (
    Sampling(2),
    Extraction(2),
    GradientNorm(),
    FewShotPrefix(2),
    LogitLens(),
    ActivationPatching(),
    HiddenStates((0.5,)),
    ChoiceStates(0.5),
    GoldDivergence(),
)
PASSES = {o.name: asks((), observations=(o,)) for o in EVERY} | {
    "teacher_forced": asks(("answer", "perturbed/"), moments=True),
    "generation": asks(write=True),
    "multiple_choice": asks((), options="all"),
}


def held():
    """Numbers in tensors that were made since the last ``gc.freeze`` and still live."""
    return sum(x.numel() for x in gc.get_objects() if type(x) is torch.Tensor)


@pytest.mark.parametrize("name", PASSES)
def test_memory_of_every_pass_is_bounded_by_the_batch(subject, name):
    """Four times the rows: more forwards, none with more tokens at once, and no tensors held but
    what the records say.
    """
    both = References(subject, subject)
    more = {"variants": {"perturbed/0": "No."}, "options": ("Yes", "No"), "right": 0}

    def widest(copies):
        sizes, tensors = [], []

        def see(_module, args):
            sizes.append(args[0].shape[0] * args[0].shape[1])
            # 16, 32, ...: the last one is in the second half
            if len(sizes) <= 12 or len(sizes) & (len(sizes) - 1) == 0:
                tensors.append(held())

        handle = subject.model.model.layers[0].register_forward_pre_hook(see)
        rows = tuple(
            replace(e, id=f"{e.id}/{k}", **more) for k in range(copies) for e in ROLES["forget"]
        )
        gc.freeze()  # what is there already is not looked through
        try:
            wants = {"forget": PASSES[name]}
            found = measure(
                subject, {**ROLES, "forget": rows}, wants, references=both, max_new_tokens=4
            ).records
        finally:
            gc.unfreeze()
            handle.remove()
        return (
            max(sizes),
            len(sizes),
            max(tensors),
            sum(
                x.size for r in found for x in every_field(r).values() if isinstance(x, np.ndarray)
            ),
        )

    (few, made, held_few, _), (many, more_made, held_many, told) = map(
        widest, (4, 16) if name == "gradient_norm" else (32, 128)
    )
    assert many <= max(few, 1 << 10) and more_made > made
    assert held_many <= 1.25 * held_few + told  # batches differ a little in size
