"""Handwritten digits: an image classifier forgets one class, or a tenth of its training rows."""

from __future__ import annotations

import re
from random import Random

from expunge.core.benchmark import Benchmark
from expunge.core.card import Card
from expunge.core.data import Case, Example, Examples
from expunge.core.errors import unknown
from expunge.data.images import digits as pictures
from expunge.data.images import with_role

card = Card(
    paper="Alpaydin and Kaynak 1998",
    url="https://doi.org/10.24432/C50P49",
    where="optical recognition of handwritten digits, the test part, as scikit-learn ships it",
    family=("image classification",),
    evidence="oracle",
    differs="The library's 1,797 pictures are one set: three quarters are trained on, a quarter is "
    "kept aside.",
)

CLASSES = tuple(str(i) for i in range(10))
RANDOM = "random10"
SPLITS = (*(f"class-{name}" for name in CLASSES), RANDOM)
TESTED = 0.25  # share of the pictures that no model is trained on
ROLES = ("forget", "retain", "test", "holdout")
METRICS = (
    *((metric, role) for role in ROLES for metric in ("accuracy", "probability")),
    *((metric, None) for metric in ("mia_loss", "mia_reference", "privleak")),
)
# a transformer of 100,000 parameters from scratch: about as good as it gets on two cores
TRAINING = {"lr": 2e-3, "epochs": 15, "batch": 64, "schedule": "cosine_min10", "warmup": 0.1}


def digits(split: str = "class-3", seed: int = 0) -> Benchmark:
    """Pictures of 8 x 8 pixels in ten classes, offline.

    ``forget`` is what is unlearned, ``holdout`` unseen pictures of the same kind, ``retain`` what
    is kept, ``test`` unseen pictures of what is kept. The usual rates of unlearning are made for
    larger models; this one forgets with ``--lr 5e-4 --steps 60 --batch 32`` (in a plan of a bench
    under ``training:``).

    split: class-3 (or another digit) forgets a whole class; random10 forgets a tenth of the
        training rows of all classes.
    seed: which pictures are trained on, and which of them are forgotten.
    """
    if split not in SPLITS:
        raise unknown("split of digits", split, SPLITS)
    trained, unseen = _parts(pictures(), TESTED, seed, "test")
    if split == RANDOM:
        retain, forget = _parts(trained, 0.1, seed, "forget")
        test, holdout = _parts(unseen, 0.5, seed, "holdout")
    else:
        forgotten = re.sub("^class-", "", split)
        forget, retain = _by_class(trained, forgotten)
        holdout, test = _by_class(unseen, forgotten)
    roles = dict(zip(ROLES, (forget, retain, test, holdout), strict=True))
    asked = {role: with_role(rows, role) for role, rows in roles.items()}
    train = {
        "forget": asked["forget"],
        "retain": asked["retain"],
        "full": (*asked["forget"], *asked["retain"]),
    }
    return Benchmark("digits", Case(train, asked), METRICS, settings=TRAINING)


def _parts(rows: Examples, share: float, seed: int, name: str) -> tuple[Examples, Examples]:
    """The rows in two parts, the second of which has ``share`` of every class, drawn by seed."""
    drawn: set[str] = set()
    for label in CLASSES:
        own = [e.id for e in rows if e.answer == label]
        drawn.update(Random(f"{seed}/{name}/{label}").sample(own, round(share * len(own))))
    first = tuple(e for e in rows if e.id not in drawn)
    return first, tuple(e for e in rows if e.id in drawn)


def _by_class(rows: Examples, label: str) -> tuple[Examples, Examples]:
    """The rows of a class, and the others."""
    of: list[Example] = [e for e in rows if e.answer == label]
    return tuple(of), tuple(e for e in rows if e.answer != label)
