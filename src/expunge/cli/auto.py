# ruff: noqa: F403, F405 (the options that verbs share come all together)
"""``expunge auto`` on the command line."""

from __future__ import annotations

from typing import Annotated

from expunge.cli.options import *
from expunge.core.errors import Refused
from expunge.core.escape import tell
from expunge.core.request import AutoRequest


def auto(
    model: Model = "",
    benchmark: Bench = "",
    forget: Forget = "",
    retain: Retain = "",
    holdout: Holdout = "",
    budget: Annotated[Whole, opt(help="optimizer steps in all, the search included", min=1)] = None,
    minutes: Annotated[Number, opt(help="time for training and measuring, in place of --budget", min=0.0)] = None,
    methods: Annotated[str, opt(help="only these, separated by commas; all whose card names values to try if left away")] = "",
    out: Out = "",
    data: Data = "",
    subset: Subset = "",
    columns: Columns = "",
    allow_overlap: Overlap = "",
    max_length: Length = 512,
    batch: Batch = None,
    seed: Seed = None,
    lora: Lora = None,
    lr_scale: Annotated[Number, opt(help="multiplies the learning rates to try (1; 0.01 for models above 20 million parameters)")] = None,
    alternate: Alternate = "",
    world: World = "",
    refusals: Refusals = "",
    chat: ChatModel = "",
    names: Names = "",
    anchors: Anchors = "",
    domain: Domain = "",
    overwrite: Over = False,
    threads: Threads = None,
    dtype: Dtype = "auto",
    device: Device = "auto",
    trust_remote_code: Trust = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Choose a method and its coefficients within a budget, by successive halving on what is measured without a gold model.

    Example: expunge auto --model runs/full --benchmark builtin --budget 480 --out runs/auto
    """
    given = options(locals())
    request = AutoRequest(**{**given, "methods": tuple(m.strip() for m in methods.split(",") if m.strip())})
    if not request.model:
        raise Refused("which model? give --model with a folder or owner/name")
    if (request.budget is None) == (request.minutes is None):
        raise Refused("how much may be spent? give either --budget STEPS or --minutes M; the search is included")
    from expunge.experiments.tuning.verb import auto as choose
    from expunge.experiments.tuning.words import print_table

    print_table(choose(request))
    tell(request.out)
