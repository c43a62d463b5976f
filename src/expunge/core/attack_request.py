"""What ``expunge attack`` is asked for."""

# Annotations are read when a command is built; kept as objects (no __future__ import), as in
# requests.py.

from dataclasses import dataclass
from typing import Annotated, ClassVar

from expunge.core.card import Call
from expunge.core.fields import Help, OneOf
from expunge.core.requests import DATA, NO_METHOD, DataRequest, ModelSource, OneStage, Seed, Whole


@dataclass(frozen=True)
class AttackRequest(DataRequest):
    """Attack a model with growing strength, gold and the original in the same way, and measure what
    comes back.

    The attack's own arguments are options too: expunge show ATTACK. One of them with several
    values, as in --relearn-lr 1e-5,1e-4, is what grows.

    Example: expunge attack relearn --model runs/npo --gold runs/gold --original runs/full
        --benchmark builtin --out runs/relearn
    """

    verb: ClassVar[str] = "attack"
    attack: Annotated[Call, Help("an attack: expunge list attacks", positional=True)] = NO_METHOD
    model: ModelSource = ""
    stage: OneStage = ""
    gold: Annotated[
        str,
        Help(
            "a model trained without the forget rows, attacked in the same way; several, separated "
            "by commas"
        ),
    ] = ""
    original: Annotated[str, Help("the model before unlearning, attacked in the same way")] = ""
    world: Annotated[str, Help("other rows that the adversary may train on", DATA)] = ""
    metrics: Annotated[
        tuple[str, ...], Help("what is measured, separated by commas; probability by default")
    ] = ()
    label: Annotated[str, Help("what the report calls this model")] = ""
    kind: Annotated[
        str, OneOf(("original", "gold", "unlearned")), Help("what it is in the report")
    ] = ""
    seed: Annotated[
        Seed, Help("decides which rows the adversary holds, and the order of his training")
    ] = 0
    save_every: Annotated[Whole, Help("steps of his training between checkpoints; 0 for none")] = (
        100
    )
