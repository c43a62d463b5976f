"""Generation in batches, greedy or sampled: length-sorted, left-padded, KV-cached; a batch shrinks
as its rows finish.

Prompts that begin alike have their beginning read once a batch. Whether what a model's cache keeps
gives the logits of the whole text is tried once per model; where it does not, texts are written
without it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import torch
from torch import Tensor

from expunge.core.errors import Refused
from expunge.core.notes import note
from expunge.models.causal_lm.answer_trees import goes_on
from expunge.models.causal_lm.forward import at_once
from expunge.models.causal_lm.modules import evaluating
from expunge.models.causal_lm.positions import places_of
from expunge.models.causal_lm.prefix_cache import families, going_on, keeps_all, read
from expunge.models.causal_lm.recompute import Choose, Ids, write_anew
from expunge.models.causal_lm.selftest import tolerance

# of a batch, prompts and what may be written: 128 rows of 256 tokens; longer rows come in smaller
# batches
TOKENS = 1 << 15
CPU_TOKENS = 1 << 14  # a CPU gains nothing from more


def greedy(
    model: Any,
    prefixes: Sequence[Sequence[int]],
    budgets: Sequence[int],
    eos_ids: Sequence[int],
    *,
    batch: int = 128,
    tick: Callable[[int], None] = lambda n: None,
) -> list[Ids]:
    """The arg-max continuation of every prefix: at most ``budgets[i]`` tokens, ending with an end
    token if one came, or at the model's last place where it has a table of them.

    The order of the result is that of ``prefixes``; a budget of 0 gives no token.
    """
    return _written(
        model, prefixes, budgets, eos_ids, lambda logits, rows: logits.argmax(-1), batch, tick
    )


def sampled(
    model: Any,
    prefixes: Sequence[Sequence[int]],
    budgets: Sequence[int],
    eos_ids: Sequence[int],
    seeds: Sequence[str],
    *,
    temperature: float = 1.0,
    top_p: float = 1.0,
    logps: list[list[float]] | None = None,
    batch: int = 128,
    tick: Callable[[int], None] = lambda n: None,
) -> list[Ids]:
    """A continuation of every prefix drawn from softmax(logits / temperature); prefix i draws from
    its own generator of ``seeds[i]``.

    ``top_p`` below 1: only from the likeliest tokens whose probabilities together reach it.
    ``logps``: an empty list that is filled with the log-probability of each token drawn, as it was
    drawn.
    """
    draws = [Random(s) for s in seeds]
    told: list[list[float]] = [[] for _ in prefixes]

    def choose(logits: Tensor, rows: list[int]) -> Tensor:
        p = torch.softmax(logits.double() / temperature, -1)
        if top_p < 1:
            p = nucleus(p, top_p)
        below = p.cumsum(-1)
        u = torch.tensor(
            [[draws[i].random()] for i in rows], dtype=below.dtype, device=below.device
        )
        chosen = torch.searchsorted(below, u * below[:, -1:], right=True)[:, 0].clamp(
            max=logits.shape[-1] - 1
        )
        if logps is not None:
            said = (p.gather(-1, chosen[:, None])[:, 0] / below[:, -1]).log().tolist()
            for i, x in zip(rows, said, strict=True):
                told[i].append(x)
        return chosen

    found = _written(model, prefixes, budgets, eos_ids, choose, batch, tick)
    if logps is not None:  # a finished row is drawn on for a while, unread
        logps += [x[: len(ids)] for x, ids in zip(told, found, strict=True)]
    return found


def nucleus(p: Tensor, top_p: float) -> Tensor:
    """Probabilities [B, V] with all but the likeliest that together reach ``top_p`` set to 0; the
    token that reaches it stays.
    """
    ordered, at = p.sort(-1, descending=True)
    beyond = ordered.cumsum(-1) - ordered >= top_p
    return p.masked_fill(torch.zeros_like(beyond).scatter(-1, at, beyond), 0.0)


def _written(
    model: Any,
    prefixes: Sequence[Sequence[int]],
    budgets: Sequence[int],
    eos_ids: Sequence[int],
    choose: Choose,
    batch: int,
    tick: Callable[[int], None],
) -> list[Ids]:
    result: list[Ids] = [[] for _ in prefixes]
    device = next(model.parameters()).device
    places = places_of(model)
    if places is not None:
        budgets = [min(n, max(0, places - len(p))) for p, n in zip(prefixes, budgets, strict=True)]
    cached = keeps_up(model)
    most = min(TOKENS, CPU_TOKENS) if device.type == "cpu" else TOKENS
    waiting = [i for i, n in enumerate(budgets) if n > 0]
    begun: list[tuple[int, ...]] = [()] * len(prefixes)  # what each shares with others
    alike = families([tuple(prefixes[i][:-1]) for i in waiting], device)
    for n, members in alike if cached and len(alike) > 1 and goes_on(model) else ():
        for i in members:
            begun[waiting[i]] = tuple(prefixes[waiting[i]][:n])
    # families side by side, the others behind them
    waiting.sort(key=lambda i: (-len(begun[i]), begun[i], -len(prefixes[i])))
    sizes = [
        (len(b), len(p) - len(b) + n) for p, b, n in zip(prefixes, begun, budgets, strict=True)
    ]
    with evaluating(model):
        for some in ([i for i in waiting if begun[i]], [i for i in waiting if not begun[i]]):
            for rows in _batches(some, sizes, batch, most):
                if cached:
                    _run(model, prefixes, budgets, frozenset(eos_ids), rows, result, choose, begun)
                else:
                    write_anew(model, prefixes, budgets, frozenset(eos_ids), rows, result, choose)
                tick(len(rows))
    return result


def _batches(
    waiting: Sequence[int], sizes: Sequence[tuple[int, int]], batch: int, most: int
) -> list[list[int]]:
    """Neighbours in ``waiting``, at most ``batch`` of them and ``most`` tokens, padding counted
    (one row always fits).

    ``sizes``: of each prefix what is shared, and what remains of it with what may be written.
    """
    found: list[list[int]] = []
    widest = (0, 0)
    for i in waiting:
        widest = (max(widest[0], sizes[i][0]), max(widest[1], sizes[i][1]))
        if not found or len(found[-1]) == batch or sum(widest) * (len(found[-1]) + 1) > most:
            found.append([])
            widest = sizes[i]
        found[-1].append(i)
    return found


def _run(
    model: Any,
    prefixes: Sequence[Sequence[int]],
    budgets: Sequence[int],
    eos: frozenset[int],
    rows: list[int],
    result: list[Ids],
    choose: Choose,
    begun: Sequence[tuple[int, ...]],
) -> None:
    device = next(model.parameters()).device
    slot = slot_of(model)
    memories = {shared: read(model, shared) for shared in {begun[i] for i in rows} if shared}
    ids, mask = left_padded([prefixes[i][len(begun[i]) :] for i in rows], device)
    # what a row goes on from, then what is its own
    mask = torch.cat([left_padded([begun[i] for i in rows], device)[1], mask], -1)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    cache = going_on(
        model,
        [memories[begun[i]] for i in rows if begun[i]],
        mask.shape[1] + max(budgets[i] for i in rows),
    )
    step = max(1, at_once(device) // len(rows)) if keeps_all(model) else ids.shape[1]
    # piece by piece: the states of a long prompt do not all stand in memory at once, only what is
    # kept
    while ids.shape[1] > step:
        left = ids.shape[1] - step
        model(
            input_ids=ids[:, :step],
            attention_mask=mask[:, :-left],
            position_ids=positions[:, -ids.shape[1] : -left],
            use_cache=True,
            **{slot: cache},
            logits_to_keep=1,
        )
        ids = ids[:, step:]
    # a finished row runs on, unread, until a quarter of the batch has finished
    open_ = [True] * len(rows)
    while True:
        out = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions[:, -ids.shape[1] :],
            use_cache=True,
            **{slot: cache},
            logits_to_keep=1,
        )
        chosen = choose(out.logits[:, -1], rows)
        for place, token in enumerate(chosen.tolist()):
            if open_[place]:
                row = rows[place]
                result[row].append(token)
                open_[place] = token not in eos and len(result[row]) < budgets[row]
        alive = [place for place, yes in enumerate(open_) if yes]
        if not alive:
            return
        if len(alive) <= 0.75 * len(rows):
            keep = torch.tensor(alive, dtype=torch.long, device=device)
            rows, open_ = [rows[a] for a in alive], [True] * len(alive)
            keep_rows(cache, keep)
            chosen, mask, positions = chosen[keep], mask[keep], positions[keep]
        ids = chosen[:, None]
        mask = torch.cat([mask, mask.new_ones(len(rows), 1)], -1)
        positions = positions[:, -1:] + 1


def left_padded(prefixes: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """ids and attention mask [B, L] with the prefixes at the right; what pads is never seen."""
    width = max(len(p) for p in prefixes)
    ids = torch.zeros(len(prefixes), width, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for i, p in enumerate(prefixes):
        ids[i, width - len(p) :] = torch.tensor(list(p))
        mask[i, width - len(p) :] = 1
    return ids.to(device), mask.to(device)


def slot_of(model: Any) -> str:
    """The argument by which a model takes what it kept: ``past_key_values``, of some recurrent
    models ``cache_params``; "" if neither.
    """
    plain = model.get_base_model() if hasattr(model, "peft_config") else model
    takes = inspect.signature(plain.forward).parameters
    return next((name for name in ("past_key_values", "cache_params") if name in takes), "")


def keep_rows(cache: Any, keep: Tensor) -> None:
    """Only these rows of a batch go on; a layer that keeps a state has no other way than to be put
    in another order.
    """
    for layer in cache.layers:
        if hasattr(layer, "recurrent_states"):
            layer.reorder_cache(keep)
        else:
            layer.batch_select_indices(keep)


def keeps_up(model: Any) -> bool:
    """Whether a batch that goes on from its cache has the logits that each row has when read whole;
    tried once per model.

    Where it has not, what writes texts anew is tried; Refused if that has other logits, too.
    """
    if not hasattr(model, "_expunge_keeps_up"):
        model._expunge_keeps_up = bool(slot_of(model)) and _agrees(model, _from_cache)
        if not model._expunge_keeps_up:
            if not _agrees(model, write_anew):
                raise Refused(
                    f"{type(model).__name__}: one token after the other it has other logits than "
                    f"at once; no text can be written"
                )
            note(
                f"{type(model).__name__}: read from its cache it writes other texts, so they are "
                f"written without it (slower)"
            )
    return bool(model._expunge_keeps_up)


def _from_cache(
    model: Any,
    prefixes: Sequence[Sequence[int]],
    budgets: Sequence[int],
    eos: frozenset[int],
    rows: Sequence[int],
    result: list[Ids],
    choose: Choose,
) -> None:
    """``write_anew`` with the cache, no beginning shared."""
    _run(model, prefixes, budgets, eos, list(rows), result, choose, [()] * len(prefixes))


def _agrees(model: Any, run: Callable[..., None]) -> bool:
    """Whether ``run`` meets the logits of three rows of different lengths, told token by token, as
    each has them read at once.
    """
    vocab = int(model.get_input_embeddings().weight.shape[0])
    prefixes = [[(3 + 7 * i + 5 * j) % vocab for j in range(n)] for i, n in enumerate((4, 2, 6))]
    budgets = [3, 6, 2]  # rows leave one after the other
    told = [[(11 + 3 * i + 2 * j) % vocab for j in range(n)] for i, n in enumerate(budgets)]
    seen: list[list[Tensor]] = [[] for _ in prefixes]

    def choose(logits: Tensor, rows: list[int]) -> Tensor:
        for i, z in zip(rows, logits, strict=True):
            seen[i].append(z)
        return torch.tensor(
            [told[i][min(len(seen[i]), budgets[i]) - 1] for i in rows], device=logits.device
        )

    device = next(model.parameters()).device
    with evaluating(model):
        try:
            run(model, prefixes, budgets, frozenset(), [0, 1, 2], [[], [], []], choose)
        except torch.OutOfMemoryError:
            raise
        except Exception:  # a cache of another kind: each family fails in its own way
            return False
        for prefix, ids, z, n in zip(prefixes, told, seen, budgets, strict=True):
            whole = model(
                input_ids=torch.tensor([[*prefix, *ids[:-1]]], device=device), use_cache=False
            ).logits[0, len(prefix) - 1 :]
            if not bool(
                (torch.stack(z[:n]).float() - whole.float()).abs().max() <= tolerance(whole)
            ):
                return False
    return True
