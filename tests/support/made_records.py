"""Records made up by hand and by dice, for the tests of the metrics."""

import zlib
from dataclasses import fields

import numpy as np
import pytest

from expunge.core.results import Record, Records

WORDS = ["the", "author", "writes", "novels", "about", "rivers", "in", "Taipei", "since", "1991"]


def a_row(role="forget", i=0, variant="answer", **known):
    """One row; ``group`` is i // 4 unless given. Arrays may be given as lists."""
    known = {k: np.asarray(v) if isinstance(v, list) else v for k, v in known.items()}
    known.setdefault("group", str(i // 4))
    for array in ("logp", "hit"):
        if array in known:
            known.setdefault("n_tokens", len(known[array]))
    own = {f.name for f in fields(Record)}
    observed = {name: x for name, x in known.items() if name not in own and x is not None}
    known = {name: x for name, x in known.items() if name in own}
    return Record("unlearned", role, str(i), variant=variant, observed=observed, **known)


def some_tokens(rng, mean_loss):
    """The token values of a row, ending in eos."""
    n = int(rng.integers(4, 12))
    logp = -rng.exponential(mean_loss, n).astype(np.float32)
    known = dict(
        logp=logp,
        hit=logp > -0.7,
        n_tokens=n,
        eos=True,
        mean_logp=rng.normal(-5, 1, n),
        var_logp=rng.uniform(0.5, 4, n),
    )
    return known | dict(entropy=rng.uniform(0, 4, n), chars=50)


def other_passes(rng, answer):
    """What the optional passes and other models say of a row."""
    meaning = ("semantic_similarity", "entailment", "entity_share", "entity_pairs")
    judged = ("contradicts", "contradicted_by_answer")
    return dict(
        samples=tuple(str(rng.choice([answer, " ".join(rng.choice(WORDS, 6))])) for _ in range(32)),
        sample_logp=-rng.exponential(9, 32),
        overlap=rng.random(3),
        grad_norm=rng.exponential(1, 4),
        unfinished=bool(rng.random() < 0.3),
        question="Where does the author live?",
        given={name: float(rng.random()) for name in meaning}
        | {name: float(rng.random() < 0.3) for name in judged}
        | {"gibberish": len(answer) / 100, "repeated_tokens/4": float(rng.random())},
    )


def a_model(seed=0, n=24, knows=0.5):
    """Records of every role and variant that TOFU has. ``knows``: mean loss on the forget rows."""
    rng, beside, rows = np.random.default_rng(seed), np.random.default_rng(seed + 100), []
    for role, loss in (
        ("forget", knows),
        ("holdout", 3.0),
        ("retain", 0.3),
        ("real_authors", 1.5),
        ("world_facts", 1.5),
    ):
        for i in range(n):
            answer, written = (" ".join(rng.choice(WORDS, 6)) for _ in range(2))
            written = str(rng.choice(["I do not know.", " ".join([written] * 2), written, answer]))
            size = len(zlib.compress(answer.encode()))
            rows.append(
                a_row(
                    role,
                    i,
                    answer=answer,
                    generated=written,
                    zlib=size,
                    **some_tokens(rng, loss),
                    **other_passes(rng, answer),
                )
            )
            if role in ("forget", "holdout"):
                rows += [
                    a_row(role, i, variant, **some_tokens(rng, loss + 1))
                    for variant in ("lower", "prefix")
                ]
                rows += [
                    a_row(role, i, f"neighbour/{j}", **some_tokens(beside, loss + 1))
                    for j in range(3)
                ]
            if role in ("forget", "retain"):
                rows.append(a_row(role, i, "paraphrase", **some_tokens(rng, loss + 1)))
            rows += [
                a_row(role, i, f"perturbed/{j}", **some_tokens(rng, 3.0))
                for j in range(3)
                if role != "holdout"
            ]
    return Records(rows)


@pytest.fixture(scope="session")
def row():
    return a_row


@pytest.fixture(scope="session")
def model():
    return a_model


@pytest.fixture(scope="session")
def unlearned():
    return a_model(1, knows=1.5)


@pytest.fixture(scope="session")
def gold():
    return a_model(2, knows=3.0)
