"""Sites: names of places inside a decoder that hold whatever the architecture calls its parts.

A site is a kind and a block's number. What a site holds is read while rows run through the model,
and may be changed on its way. The matrix that reads a key is found by its module's name, never by
its position among the parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from expunge.core.data import Row
from expunge.core.errors import Refused, no_choice
from expunge.models.causal_lm.causal_tracing import NAMES as MLP_NAMES
from expunge.models.causal_lm.causal_tracing import indirect_effects, mlp_of
from expunge.models.causal_lm.forward import Packed, capacity_for, forward, pack
from expunge.models.causal_lm.hooks import states_of
from expunge.models.causal_lm.modules import blocks
from expunge.models.modules import evaluating

Kind = Literal["block", "mlp", "mlp_key", "attention", "attention_key"]
DOWN = ("down_proj", "c_proj", "fc2", "fc_out", "dense_4h_to_h", "w2", "wo")
ATTENTION_NAMES = ("self_attn", "attn", "attention", "self_attention")
ATTENTION_OUT = ("o_proj", "out_proj", "c_proj", "dense", "wo")


@dataclass(frozen=True, order=True)
class Site:
    """A place in block ``layer``.

    ``block``: what the block puts out (the residual stream). ``mlp``: what its MLP puts out.
    ``mlp_key``: what the MLP's last matrix reads, one number a neuron; where the MLP is gated it
    is the product with the gate. ``attention`` and ``attention_key``: the same of its attention.
    """

    kind: Kind
    layer: int

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise no_choice("site", self.kind, get_args(Kind))

    def __str__(self) -> str:
        return f"{self.kind}[{self.layer}]"


def sites_of(model: Any, kind: Kind) -> tuple[Site, ...]:
    """The sites of a kind in every block, in order."""
    return tuple(Site(kind, i) for i in range(len(blocks(model))))


def module_of(model: Any, site: Site) -> nn.Module:
    """The module that puts out what a site holds, or that reads it where the site is a key.

    Raises:
        Refused: the model has no such block, or none of its parts has a usual name.
    """
    every = blocks(model)
    if not 0 <= site.layer < len(every):
        last = len(every) - 1
        raise Refused(
            f"site {site} of a model with {len(every)} blocks; choose a block from 0 to {last}"
        )
    block = every[site.layer]
    if site.kind == "block":
        return block
    if site.kind == "mlp":
        return mlp_of(block)[1]
    if site.kind == "attention":
        return _attention_of(block, site)
    if site.kind == "attention_key":
        return _last_of(_attention_of(block, site), ATTENTION_OUT, site)
    part = next((getattr(block, n) for n in MLP_NAMES if hasattr(block, n)), block)
    return _last_of(part, DOWN, site)


def _attention_of(block: nn.Module, site: Site) -> nn.Module:
    for name in ATTENTION_NAMES:
        if hasattr(block, name):
            return getattr(block, name)
    raise _lacking(site, block, ATTENTION_NAMES)


def _last_of(part: nn.Module, names: Sequence[str], site: Site) -> nn.Module:
    """The matrix inside ``part`` whose module has one of these names."""
    found = [m for n, m in part.named_modules() if n.rpartition(".")[2] in names]
    matrices = [m for m in found if getattr(m, "weight", None) is not None and m.weight.dim() == 2]
    if len(matrices) != 1:
        raise _lacking(site, part, names)
    return matrices[0]


def _lacking(site: Site, part: nn.Module, names: Sequence[str]) -> Refused:
    there = [n for n, _ in part.named_children()]
    return Refused(
        f"site {site}: a {type(part).__name__} must have exactly one of {', '.join(names)}; its "
        f"parts are {', '.join(there) or 'none'}"
    )


def matrix_name(model: Any, site: Site) -> str:
    """The name of the weight matrix that reads a key: ``model.layers.3.mlp.down_proj.weight``."""
    module = module_of(model, site)
    return next(f"{n}.weight" for n, m in model.named_modules() if m is module)


def oriented(module: nn.Module, matrix: Tensor) -> Tensor:
    """A matrix of ``module`` as [out, in], or one of that shape as the module keeps it (a view).

    GPT-2's Conv1D keeps its weights as [in, out].
    """
    return matrix.T if type(module).__name__ == "Conv1D" else matrix


def places_of(
    packed: Packed, positions: Callable[[Any], Sequence[int]]
) -> tuple[Tensor, Tensor, Tensor]:
    """Where chosen tokens of packed rows stand.

    Args:
        packed: rows that were packed with every token but the first scored.
        positions: the positions of a row that are asked for.

    Returns:
        The row, the bin and the position in it of each token: [N] each.
    """
    first = (packed.at[1] == 0).nonzero()[:, 0]  # of each row the token at position 1
    start = dict(zip(packed.at[0][first].tolist(), first.tolist(), strict=True))
    row_of, bins, offsets = [], [], []
    for i, row in enumerate(packed.rows):
        if i not in start:
            continue
        bin_, after = (int(x[start[i]]) for x in packed.own)
        for position in positions(row):
            row_of.append(i)
            bins.append(bin_)
            offsets.append(after - 1 + position)
    made = [
        torch.tensor(x, dtype=torch.long, device=packed.labels.device)
        for x in (row_of, bins, offsets)
    ]
    return made[0], made[1], made[2]


@contextmanager
def read_at(
    model: Any, sites: Sequence[Site], place: tuple[Tensor, Tensor], bins: int
) -> Iterator[dict[Site, Tensor]]:
    """Within it, what the sites hold at ``place`` = (bin, position) is collected: site -> [N, D]."""
    held: dict[Site, Tensor] = {}
    with ExitStack() as stack:
        for site in sites:

            def keep(states: Tensor, site: Site = site) -> None:
                held[site] = states[place]

            stack.callback(_on(model, site, bins, keep).remove)
        yield held


@contextmanager
def added_at(
    model: Any, site: Site, place: tuple[Tensor, Tensor], vector: Tensor
) -> Iterator[None]:
    """Within it, ``vector`` [D] is added to what the site holds at ``place`` of a single bin;
    gradients flow.
    """

    def add(states: Tensor) -> Tensor:
        change = torch.zeros_like(states)
        change[place] = 1.0
        return states + change * vector.to(states.dtype)

    handle = _on(model, site, 1, add)
    try:
        yield
    finally:
        handle.remove()


def _on(model: Any, site: Site, bins: int, see: Callable[[Tensor], Tensor | None]) -> Any:
    """Show ``see`` what a site holds, [bins, L, D]; what it gives back, if anything, goes on in its
    stead.
    """

    def shown(states: Tensor) -> Tensor | None:
        # OPT lays the tokens of all bins in one row
        new = see(states.view(bins, -1, states.shape[-1]))
        return None if new is None else new.view(states.shape)

    def before(_module: Any, args: tuple[Any, ...]) -> Any:
        new = shown(args[0])
        return None if new is None else (new, *args[1:])

    def after(_module: Any, _args: Any, out: Any) -> Any:
        new = shown(states_of(out))
        if new is None:
            return None
        return (new, *out[1:]) if isinstance(out, tuple) else new

    module = module_of(model, site)
    if site.kind.endswith("_key"):
        return module.register_forward_pre_hook(before)
    return module.register_forward_hook(after)


@dataclass(frozen=True)
class Sites:
    """The anatomy of a causal language model (``models.base.Anatomy``)."""

    model: Any

    def sites(self, kind: Kind) -> tuple[Site, ...]:
        """The sites of a kind in every block, in order."""
        return sites_of(self.model, kind)

    def matrix_name(self, site: Site) -> str:
        """The name of the weight matrix that reads a key."""
        return matrix_name(self.model, site)

    def check(self, site: Site) -> None:
        """Refuse a site that the model has not."""
        module_of(self.model, site)

    def read(
        self, rows: Sequence[Row], sites: Sequence[Site], positions: Callable[[Row], Sequence[int]]
    ) -> tuple[Tensor, dict[Site, Tensor]]:
        """To which row each state belongs [N], and site -> states [N, D]; nothing is run above the
        deepest site, and nothing at all if no position is asked for.
        """
        device = next(self.model.parameters()).device
        spans = ["all"] * len(rows)
        packed = pack(rows, capacity_for(self.model), spans).to(device)
        row_of, bins, offsets = places_of(packed, positions)
        if not len(row_of):
            return row_of, {}
        deepest = max(site.layer for site in sites)
        reading = read_at(self.model, sites, (bins, offsets), len(packed.input_ids))
        with evaluating(self.model), reading as held:
            forward(self.model, packed, want_logits=False, layers=(deepest,))
        return row_of, dict(held)

    def added(self, site: Site, at: Sequence[int], vector: Tensor) -> AbstractContextManager[None]:
        """Within it, ``vector`` [D] is added to what the site holds at these positions of a row
        that is alone in its batch.
        """
        places = torch.tensor(list(at), dtype=torch.long, device=vector.device)
        return added_at(self.model, site, (torch.zeros_like(places), places), vector)

    def mlp_weights(self) -> list[frozenset[str]]:
        """Of each block, in order, the names of the weights of its MLP."""
        names = {id(p): n for n, p in self.model.named_parameters()}
        found = []
        for block in blocks(self.model):
            parameters = mlp_of(block)[1].parameters()
            found.append(frozenset(names[id(p)] for p in parameters if id(p) in names))
        return found

    def mlp_effects(self, rows: Sequence[Row], seed: int) -> Tensor:
        """How much of the answers each block's MLP alone gives back: see ``causal_tracing``."""
        return indirect_effects(self.model, rows, seed)
