"""Several models that answer as one: the probability of a token is the mean of theirs."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from expunge.core.data import Example, Row
from expunge.core.errors import Failed, Refused
from expunge.core.files import (
    MANIFEST,
    check_manifest,
    make_folder,
    write_json,
    write_manifest,
)
from expunge.models.base import Capability, Sampling, Scored
from expunge.models.decoding import Decoding, Draws, most_likely, together, written
from expunge.models.saving import CARD, saved_whole

SETTINGS = "ensemble.json"
MEAN = "mean"  # of the probabilities that the members give
ENSEMBLE: frozenset[Capability] = frozenset({"score", "generate"})


def log_mean(logits: Sequence[Tensor]) -> Tensor:
    """The logarithm of the mean of distributions, which are given as logits.

    Args:
        logits: One tensor [..., V] of each model.

    Returns:
        log((1/S) sum_s softmax(logits_s)), float32 or wider: it sums to 1 after exp.
    """
    total: Tensor | None = None
    for own in logits:
        wide = own.to(torch.promote_types(own.dtype, torch.float32)).log_softmax(-1)
        total = wide if total is None else torch.logaddexp(total, wide)
    assert total is not None
    return total - math.log(len(logits)) if len(logits) > 1 else total


@dataclass
class Ensemble:
    """Models of one family that answer as one.

    Scores and generated texts come from one rule: of every next token, the mean over the members
    of its probability. No gradient flows, and there is no one set of weights to edit or to look
    into: what needs that takes one of the members, each a model folder of its own.

    ``members``: models that read texts in the same tokens.
    """

    members: tuple[Any, ...]
    source: str = ""
    folder: Path | None = None
    digest: str = ""
    capabilities: frozenset[Capability] = ENSEMBLE

    def __post_init__(self) -> None:
        if not self.members:
            raise Failed("an ensemble needs a model")
        self.digest = self.digest or digest_of([member.digest for member in self.members])

    @property
    def first(self) -> Any:
        """The member that reads and writes texts for all."""
        return self.members[0]

    @property
    def tokenizer(self) -> Any:
        """The tokenizer, which is the same in all members."""
        return self.first.tokenizer

    @property
    def device(self) -> torch.device:
        """Where the members are."""
        device: torch.device = self.first.device
        return device

    @property
    def vocab(self) -> int:
        """Rows of the members' embedding tables."""
        return int(self.first.vocab)

    @property
    def window(self) -> int | None:
        """How many tokens the shortest of the members reads; None if none says so."""
        known = [member.window for member in self.members if member.window]
        return min(known, default=None)

    @property
    def eos_ids(self) -> tuple[int, ...]:
        """Every token that ends a text."""
        ends: tuple[int, ...] = self.first.eos_ids
        return ends

    @property
    def left_behind(self) -> str:
        """What of a checkpoint is not in the members, in words."""
        return str(self.first.left_behind)

    def encode(
        self,
        examples: Sequence[Example],
        *,
        max_length: int = 512,
        variants: Sequence[str] = ("answer",),
    ) -> list[Row]:
        """Examples as all members read them, in order."""
        rows: list[Row] = self.first.encode(examples, max_length=max_length, variants=variants)
        return rows

    def encode_options(self, examples: Sequence[Example], **how: Any) -> list[Row]:
        """Rows of the options of questions; arguments as of a member."""
        rows: list[Row] = self.first.encode_options(examples, **how)
        return rows

    @property
    def bos_ids(self) -> tuple[int, ...]:
        """What stands before every text."""
        ids: tuple[int, ...] = self.first.bos_ids
        return ids

    def ids_with_controls(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of each text with what the tokenizer puts around one."""
        ids: list[list[int]] = self.first.ids_with_controls(texts)
        return ids

    def shortened(self, text: str, most: int) -> str:
        """A text up to its first ``most`` tokens."""
        return str(self.first.shortened(text, most))

    def room(self, examples: Sequence[Example], max_length: int) -> int:
        """``max_length``, or how much of a text the members read at once if that is less."""
        return min(member.room(examples, max_length) for member in self.members)

    def check_rows(self, rows: Sequence[Row]) -> None:
        """Refuse rows that are longer than a member can read."""
        for member in self.members:
            member.check_rows(rows)

    def prompt_of(self, example: Example, **how: Any) -> list[int]:
        """The ids that generation starts from; arguments as of a member."""
        ids: list[int] = self.first.prompt_of(example, **how)
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids without control tokens."""
        return str(self.first.decode(ids))

    def ids_of(self, text: str) -> list[int]:
        """The tokens of a text by themselves."""
        ids: list[int] = self.first.ids_of(text)
        return ids

    def words(self) -> list[int]:
        """Token ids that are words."""
        ids: list[int] = self.first.words()
        return ids

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """A context without gradients and dropout for all members."""
        with ExitStack() as stack:
            for member in self.members:
                stack.enter_context(member.evaluating())
            yield

    def scored(self, rows: Sequence[Row]) -> Iterator[Scored]:
        """What the members say together of rows, each once; to be driven within ``evaluating()``.

        Yields:
            Batches whose logits are logarithms of the mean of probabilities.
        """
        for batches in zip(*(member.scored(rows) for member in self.members), strict=True):
            if any(batch.rows != batches[0].rows for batch in batches):
                raise Failed("the models of an ensemble came to different batches of the same rows")
            yield Scored(
                batches[0].rows,
                batches[0].labels,
                log_mean([batch.logits for batch in batches]),
                sum(batch.tokens for batch in batches),
            )

    def pack(self, rows: Sequence[Row], spans: Sequence[str] | None = None) -> Any:
        """Rows as one batch, which every member reads."""
        return self.first.pack(rows, spans)

    def forward(self, batch: Any, **how: Any) -> Any:
        """The logarithms of the mean of probabilities [N, V] of a batch's scored tokens.

        Raises:
            Refused: The outputs of blocks are asked for, which are each member's own.
        """
        if how.get("layers") or how.get("keep_last") or not how.get("want_logits", True):
            raise Refused(f"{self.source}: an ensemble has no blocks of its own; name a member")
        found = [member.forward(batch) for member in self.members]
        return replace(found[0], logits=log_mean([outputs.logits for outputs in found]))

    def hugging_face(self) -> tuple[Any, Any]:
        """Refused: an ensemble is no single model of transformers."""
        raise Refused(
            f"{self.source} is an ensemble, and this tool takes a single model; name a member"
        )

    def predict(self, rows: Sequence[Row], **how: Any) -> tuple[Any, Tensor]:
        """The rows as one batch, and the logarithms of the mean of probabilities [N, V]."""
        found = [member.predict(rows, **how) for member in self.members]
        return found[0][0], log_mean([logits for _, logits in found])

    def decoding(
        self, prefixes: Sequence[Sequence[int]], budgets: Sequence[int], **how: Any
    ) -> Decoding:
        """``generate``, token by token, see ``models.decoding``; the members are told the same
        tokens.
        """
        tick = how.pop("tick", None)
        steps = [self.first.decoding(prefixes, budgets, tick=tick, **how)]
        steps += [member.decoding(prefixes, budgets, **how) for member in self.members[1:]]
        return together(steps, log_mean)

    def generate(
        self,
        prefixes: Sequence[Sequence[int]],
        budgets: Sequence[int],
        *,
        sampling: Sampling | None = None,
        ends: Sequence[int] | None = None,
        logps: list[list[float]] | None = None,
        batch: int = 128,
        tick: Callable[[int], None] | None = None,
    ) -> list[list[int]]:
        """A continuation of every prefix, each token chosen from the mean of probabilities.

        Args:
            prefixes: Token ids to go on from.
            budgets: How many tokens may be written behind each.
            sampling: How to draw; None writes the likeliest token each time.
            ends: Tokens that end a text; None: those of the members.
            logps: An empty list that is filled with the log-probability of every token drawn.
            batch: How many prefixes go through the members at once.
            tick: Called with the number of prefixes that are finished.
        """
        draws = Draws(sampling) if sampling else None
        with self.evaluating():
            steps = self.decoding(prefixes, budgets, ends=ends, batch=batch, tick=tick)
            found = written(steps, draws or most_likely)
        if logps is not None and draws:
            logps += [said[: len(ids)] for said, ids in zip(draws.logps, found, strict=True)]
        return found

    @property
    def family(self) -> str:
        """The name of the members' family."""
        return str(self.first.family)

    @property
    def adapter(self) -> None:
        """None: the members are whole models."""
        return None

    def decided(self) -> str:
        """sha256 over what besides the weights decides the members' answers."""
        return digest_of([member.decided() for member in self.members])

    def fingerprint(self) -> str:
        """sha256 that tells two ensembles apart: here the digest of the members' files."""
        return self.digest


# ------------------------------------------------------------------ folders


def digest_of(members: Sequence[str], rule: str = MEAN) -> str:
    """sha256 over the rule and the digests of the members, in order."""
    return sha256(" ".join((rule, *members)).encode()).hexdigest()


def is_ensemble(place: Path) -> bool:
    """Whether a folder holds an ensemble."""
    return (place / SETTINGS).is_file()


def folders_of(place: Path) -> list[Path]:
    """The folders of an ensemble's members, in order.

    Raises:
        Refused: The settings cannot be read, name a folder outside or one that is not there, or
            another rule.
    """
    try:
        plain = json.loads((place / SETTINGS).read_bytes())
        names = [str(name) for name in plain["members"]]
        rule = plain["rule"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise Refused(
            f"{place / SETTINGS}: not the settings of an ensemble; copy the folder again"
        ) from None
    if rule != MEAN:
        raise Refused(f"{place / SETTINGS}: the rule {rule!r} is not known; it can be {MEAN}")
    if not names:
        raise Refused(f"{place / SETTINGS}: an ensemble without members; copy the folder again")
    for name in names:
        if Path(name).name != name or name in ("", ".", "..") or not (place / name).is_dir():
            raise Refused(
                f"{place / SETTINGS}: names the member {name!r}, which is no folder beside it; "
                f"copy the folder again"
            )
    return [place / name for name in names]


def read_ensemble(place: Path, source: str, load: Callable[[Path], Any]) -> Ensemble:
    """The ensemble of a folder.

    Args:
        place: The folder.
        source: What the user named.
        load: Reads one member.

    Raises:
        Refused: A file is not as it was saved, or the members read texts in different tokens.
    """
    check_manifest(place, lambda name: Path(name).name != CARD)
    folders = folders_of(place)
    if any(is_ensemble(folder) for folder in folders):
        raise Refused(f"{place}: an ensemble of ensembles is not read; name one of its members")
    members = [load(folder) for folder in folders]
    first = members[0]
    for member in members[1:]:
        if member.tokenizer.get_vocab() != first.tokenizer.get_vocab():
            raise Refused(
                f"{member.source} reads texts in other tokens than {first.source}; models of one "
                f"ensemble share a tokenizer"
            )
    return Ensemble(tuple(members), source, place)


def save_ensemble(members: Sequence[Path], folder: Path, card: str = "") -> Path:
    """Write an ensemble's folder beside its place and move it in when it is whole.

    Args:
        members: Saved model folders; their weight files are linked where the file system can.
        folder: Where to.
        card: Becomes README.md.

    Raises:
        Failed: The disk refuses; nothing half-written is left.
    """
    names = [f"shard-{i}" for i in range(1, len(members) + 1)]
    with saved_whole(folder, card) as place:
        for name, member in zip(names, members, strict=True):
            copy_folder(member, place / name)
        write_json(place / SETTINGS, {"schema": 1, "rule": MEAN, "members": names})
    return folder


def copy_folder(source: Path, target: Path) -> None:
    """The files of a saved model at another place; weights are linked where the file system can:
    nothing writes into a saved file.
    """
    make_folder(target)
    for file in sorted(source.iterdir()):
        if file.suffix == ".safetensors" and _linked(file, target / file.name):
            continue
        if file.is_file() and file.name != MANIFEST:
            shutil.copy2(file, target / file.name)
    write_manifest(target)


def _linked(file: Path, target: Path) -> bool:
    try:
        os.link(file, target)
    except OSError:
        return False
    return True
