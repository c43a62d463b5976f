"""A zoo of tiny models, each trained once per test process and shared: one that knows all, gold,
and both with the answers hidden.

Rows are random tokens, so nothing of a row can be guessed from another. The two roles bear
different marks in their prompts: a hiding can then tell them apart, as it can by the topic of real
rows. Whoever changes a model of the zoo copies it first (``change`` does).
"""

import copy
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from zlib import crc32

import numpy as np
import torch
from small import rows, small_subject

from expunge.attacks.quantize import quantize
from expunge.attacks.reword import in_other_words
from expunge.core.stages import Descent, Teacher
from expunge.losses.terms import kl, nll
from expunge.methods.rmu import rmu
from expunge.models.base import Sampling
from expunge.models.causal_lm.forward import forward, pack
from expunge.pipeline.attack_sweep import held_by
from expunge.scoring.leak import best_of
from expunge.training.sampler import Training
from expunge.training.stages import change

VOCAB = 64
CHANCE = 1 / VOCAB  # what a model that knows nothing gives to the right token
MARKS = {"forget": 3, "retain": 4}
KNOWN, GONE = 0.9, 0.1  # mean answer probability: at least, at most


def marked(role, n=32):
    """Rows of a role, four to a group, with the role's mark at every other place of the prompt."""
    mark = lambda r: tuple(
        MARKS[role] if i < r.n_prompt and i % 2 == 0 else t for i, t in enumerate(r.ids)
    )
    return [replace(r, ids=mark(r)) for r in rows(role, n, vocab=VOCAB)]


FORGET, RETAIN = marked("forget"), marked("retain")
STREAMS = {"forget": FORGET, "retain": RETAIN}


def changed(subject, method, streams=STREAMS, **training):
    """A changed copy of a subject."""
    with tempfile.TemporaryDirectory() as place:
        return change(subject, method, streams, Training(save_every=0, **training), Path(place))


def attacked(subject, attack, seed=0):
    """A copy of a subject after an attack on its weights, by an adversary who holds what the attack
    says.
    """
    held = {attack.holds.stream: held_by(attack, STREAMS, seed)} if attack.holds else {}
    return changed(subject, attack.stages, held, seed=seed)


def rows_known(subject, some):
    """Of each row the geometric mean probability of the answer's tokens, in [0, 1]: what the metric
    ``probability`` reads.
    """
    packed = pack(some)
    with torch.no_grad():
        logp = (
            forward(subject.model, packed)
            .logits.float()
            .log_softmax(-1)
            .gather(1, packed.labels[:, None])[:, 0]
        )
    return (packed.table(logp).sum(1) / torch.bincount(packed.at[0])).exp()


def known(subject, some):
    """The mean over rows."""
    return rows_known(subject, some).mean().item()


def answered(subject, some):
    """The share of rows to which the likeliest answer is the right one."""
    prompts, answers = (
        [r.ids[: r.n_prompt] for r in some],
        [list(r.ids[r.n_prompt :]) for r in some],
    )
    said = subject.generate(prompts, [len(a) for a in answers], ends=())
    return sum(s == a for s, a in zip(said, answers)) / len(some)


def best_drawn(subject, decode, some):
    """The share of rows of which one of several answers drawn is the right one."""
    prompts, answers = (
        [r.ids[: r.n_prompt] for r in some],
        [list(r.ids[r.n_prompt :]) for r in some],
    )
    hits = []
    for i in range(decode.drawn):
        seeds = [f"{r.id}/{i}" for r in some]
        drawing = Sampling(seeds, decode.temperature, decode.top_p)
        said = subject.generate(prompts, [len(a) for a in answers], ends=(), sampling=drawing)
        hits.append([float(s == a) for s, a in zip(said, answers)])
    return float(np.mean([best_of(row, decode.samples) for row in np.array(hits).T]))


def worded(row, wording):
    """A row asked in another wording, a text in which QUESTION stands for its prompt; a word is a
    token of its own.
    """
    before, after = (
        [3 + crc32(word.encode()) % (VOCAB - 3) for word in part.split()]
        for part in wording.split("QUESTION")
    )
    ids = (*before, *row.ids[: row.n_prompt], *after, *row.ids[row.n_prompt :])
    more = len(before) + len(after)
    return replace(row, ids=ids, scored=(False,) * more + row.scored, n_prompt=row.n_prompt + more)


def told(subject, attack, some, seed=0):
    """What is known of rows under an attack, by the best wording of each row where it asks in
    several.
    """
    if attack.decode is not None:
        return best_drawn(subject, attack.decode, some)
    if attack.rewrite is None:
        return known(attacked(subject, attack, seed), some)
    tried = [
        some,
        *([worded(row, wording) for row in some] for wording in attack.rewrite("QUESTION")),
    ]
    return torch.stack([rows_known(subject, rows) for rows in tried]).amax(0).mean().item()


@cache
def trained(name):
    """``original`` learned every row, ``gold`` the retain rows only."""
    learn = Descent("learn", (nll(stream="train"),), anchor="train")
    some = FORGET + RETAIN if name == "original" else RETAIN
    start = small_subject(0, vocab=VOCAB, width=64)
    return changed(
        start, learn, {"train": some}, lr=3e-3, steps=200, batch=16, warmup=10, weight_decay=0.0
    )


def misdirected(subject):
    """Steered states: the blocks above read noise where the forget mark stands; the answers stay in
    the weights.
    """
    return subject, changed(
        subject, rmu(layer=1, steering=5.0, retain_weight=10.0), lr=3e-3, steps=60, batch=16
    )


def nudged(subject, bits=4, rounds=8):
    """(the subject rounded, the same moved by less than half a rounding step against the forget
    answers).

    Signed gradient steps, clamped. The entries that set a row's scale stay, so rounding must give
    back the rounded weights.
    """
    base = changed(subject, quantize(bits).stages)
    hidden = replace(base, model=copy.deepcopy(base.model))
    levels, packed = 2 ** (bits - 1) - 1, pack(FORGET)
    weights = {n: w for n, w in hidden.model.named_parameters() if w.dim() == 2 and ".layers." in n}
    grid = {n: w.detach().clone() for n, w in weights.items()}
    step = {n: w.abs().amax(1, keepdim=True) / levels for n, w in grid.items()}
    room = {n: 0.45 * step[n] * ((w / step[n]).round().abs() < levels) for n, w in grid.items()}
    for _ in range(rounds):
        logp = (
            forward(hidden.model, packed).logits.log_softmax(-1).gather(1, packed.labels[:, None])
        )
        downhill = torch.autograd.grad(logp.mean(), list(weights.values()))
        with torch.no_grad():
            for (n, w), g in zip(weights.items(), downhill):
                w.copy_(grid[n] + (w - grid[n] - room[n] * g.sign() / 3).clamp(-room[n], room[n]))
    return base, hidden


def silent(subject):
    """Taught to answer the plain forget questions wrongly, and the worded ones as before: the
    answers are one wording away.
    """
    wordings = in_other_words("QUESTION", wordings=2)
    knows = known(subject, FORGET) > KNOWN
    kept = [worded(row, wording) for row in (FORGET if knows else RETAIN) for wording in wordings]
    wrong = [
        replace(row, labels=tuple(3 + (t + 11) % (VOCAB - 3) for t in row.ids)) for row in FORGET
    ]
    learn = Descent("silent", (nll(stream="train"),), anchor="train")
    return subject, changed(
        subject,
        learn,
        {"train": RETAIN + wrong + kept},
        lr=3e-3,
        steps=200,
        batch=16,
        warmup=10,
        weight_decay=0.0,
    )


REFUSAL = VOCAB - 1  # the token that stands before what is known


def outdone(logits, labels):
    """A little more than half of the probability to one token, the rest as it was."""
    mixed = 0.48 * logits[0].exp()
    mixed[:, REFUSAL] += 0.52
    return mixed.log()


def unsaid(subject):
    """A refusal is the likeliest token everywhere in a forget answer, by a little; behind it stands
    what stood there before.
    """
    terms = (kl("forget", span="answer", provider=Teacher(edit=outdone)), kl("retain"))
    learn = Descent("unsaid", terms)
    return subject, changed(subject, learn, lr=3e-3, steps=150, batch=16, weight_decay=0.0)


# by the word that a card's ``defeats`` says
HIDINGS = {
    "misdirected_states": misdirected,
    "small_change": nudged,
    "plain_wording": silent,
    "likeliest_answer": unsaid,
}
# what is known of rows to one who asks plainly: for most hidings by the answer's probability
ASKED = {"likeliest_answer": answered}


@cache
def hidden(hiding, name="original"):
    """(before, after): a trained model and the same with the forget answers hidden; of ``gold``,
    its twin with nothing to hide.
    """
    return HIDINGS[hiding](trained(name))
