"""Generation in batches, greedy or sampled: length-sorted, left-padded, KV-cached; a batch shrinks
as its rows finish.

Prompts that begin alike have their beginning read once a batch. Whether what a model's cache keeps
gives the logits of the whole text is tried once per model; where it does not, texts are written
without it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Sequence
from typing import Any

import torch
from torch import Tensor

from expunge.core.errors import Refused
from expunge.core.notes import note
from expunge.models.base import Sampling
from expunge.models.causal_lm.answer_trees import goes_on
from expunge.models.causal_lm.forward import at_once
from expunge.models.causal_lm.positions import places_of
from expunge.models.causal_lm.prefix_cache import families, going_on, keeps_all, read
from expunge.models.causal_lm.recompute import write_anew
from expunge.models.causal_lm.selftest import tolerance
from expunge.models.decoding import Decoding, Draws, Ids, most_likely, written
from expunge.models.modules import evaluating

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
    with evaluating(model):
        return written(decoding(model, prefixes, budgets, eos_ids, batch, tick), most_likely)


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
    draws = Draws(Sampling(seeds, temperature, top_p))
    with evaluating(model):
        found = written(decoding(model, prefixes, budgets, eos_ids, batch, tick), draws)
    if logps is not None:
        logps += [x[: len(ids)] for x, ids in zip(draws.logps, found, strict=True)]
    return found


def decoding(
    model: Any,
    prefixes: Sequence[Sequence[int]],
    budgets: Sequence[int],
    eos_ids: Sequence[int],
    batch: int = 128,
    tick: Callable[[int], None] = lambda n: None,
) -> Decoding:
    """The continuations of every prefix, token by token: logits go out, chosen tokens come in.

    The model is to be in evaluation mode, without gradients, while it goes on.
    """
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
    for some in ([i for i in waiting if begun[i]], [i for i in waiting if not begun[i]]):
        for rows in _batches(some, sizes, batch, most):
            if cached:
                yield from _run(model, prefixes, budgets, frozenset(eos_ids), rows, result, begun)
            else:
                yield from write_anew(model, prefixes, budgets, frozenset(eos_ids), rows, result)
            tick(len(rows))
    return result


def _batches(
    waiting: Sequence[int], sizes: Sequence[tuple[int, int]], batch: int, most: int
) -> list[list[int]]:
    """Neighbors in ``waiting``, at most ``batch`` of them and ``most`` tokens, padding counted
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
    begun: Sequence[tuple[int, ...]],
) -> Generator[tuple[Tensor, list[int]], Tensor, None]:
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
        chosen = yield out.logits[:, -1], rows
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
) -> Generator[tuple[Tensor, list[int]], Tensor, None]:
    """``write_anew`` with the cache, no beginning shared."""
    return _run(model, prefixes, budgets, eos, list(rows), result, [()] * len(prefixes))


def _agrees(
    model: Any, run: Callable[..., Generator[tuple[Tensor, list[int]], Tensor, None]]
) -> bool:
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
            steps = run(model, prefixes, budgets, frozenset(), [0, 1, 2], [[], [], []])
            logits, rows = next(steps)
            while True:
                logits, rows = steps.send(choose(logits, rows))
        except StopIteration:
            pass
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
