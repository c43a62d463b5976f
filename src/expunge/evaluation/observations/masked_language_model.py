"""A masked language model that writes neighbors of texts: a word or a few replaced by what fits in
their places.

A local folder, read with plain transformers; nothing is downloaded. Neighbors are derived from the
data: they live in memory alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch

from expunge.core.errors import Refused
from expunge.core.files import sha256_of
from expunge.evaluation.observations.text_models import check_folder
from expunge.models.batching import by_length
from expunge.models.checkpoint import first_line
from expunge.models.modules import evaluating
from expunge.models.quiet import quiet
from expunge.scoring.word_swaps import Swap, blocks, core, in_case, neighbors_of

READ = (".json", ".safetensors", ".txt", ".model")  # what of a folder decides the neighbors
LOGITS = 1 << 26  # of a batch, padding counted: a quarter of a GiB
TEXTS = 32  # whose words wait for their batches together


@dataclass(frozen=True)
class Neighbors:
    """How many neighbors of a row, how many words each replaces, and the share of a word's
    embedding that is hidden.
    """

    n: int = 25
    words: int = 1
    dropout: float = 0.7
    seed: int = 0


@dataclass(frozen=True)
class Gap:
    """A word of text number ``of``, characters ``first`` to ``last``: ids with one place for it,
    its own pieces, what is hidden of them.
    """

    of: int
    first: int
    last: int
    ids: tuple[int, ...]
    at: int
    pieces: tuple[int, ...]
    hidden: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)


class Masked:
    """The model of a folder, loaded at the first text; what it wrote is kept, for it is the same
    for every model that is judged.
    """

    def __init__(self, folder: str | Path) -> None:
        self.source = str(folder)
        self.place = check_folder(folder, "--mlm")
        self.known: dict[tuple[Neighbors, str, str], list[str]] = {}

    @cached_property
    def digest(self) -> str:
        """sha256 over its weights, configuration and tokenizer."""
        files = sorted(p for p in self.place.iterdir() if p.suffix in READ)
        return sha256("\n".join(f"{p.name} {sha256_of(p)}" for p in files).encode()).hexdigest()

    def of(
        self, texts: Sequence[tuple[str, str]], how: Neighbors, device: torch.device
    ) -> list[list[str]]:
        """At most ``how.n`` neighbors of the text of each (what stands before it, text), best
        first; none if it has no word.

        A word (several pieces stand as one, with the mean of their embeddings) is read with a share
        of its embedding hidden; each other word that the model knows ranks by p(other) / (1 -
        p(word)), in the word's own capitals. Of several words, ranks are summed.
        """
        new = [t for t in dict.fromkeys(texts) if (how, *t) not in self.known]
        for i in range(0, len(new), TEXTS):
            some = new[i : i + TEXTS]
            for t, found in zip(some, self._written(some, how, device), strict=True):
                self.known[how, *t] = found
        return [self.known[how, *t] for t in texts]

    def _written(
        self, texts: Sequence[tuple[str, str]], how: Neighbors, device: torch.device
    ) -> list[list[str]]:
        gaps = [
            g for i, (before, text) in enumerate(texts) for g in self._gaps(i, before, text, how)
        ]
        swaps: list[list[Swap]] = [[] for _ in texts]
        model, table = self.model.to(device), self.model.get_input_embeddings()
        vocabulary = table.weight.shape[0]
        with evaluating(model):
            for batch in by_length(gaps, max(1, LOGITS // vocabulary)):
                some = [gaps[i] for i in batch]
                ids, mask = (
                    torch.zeros(len(some), len(some[-1]), dtype=torch.long),
                    torch.zeros(len(some), len(some[-1]), dtype=torch.long),
                )
                for line, g in enumerate(some):
                    ids[line, : len(g)], mask[line, : len(g)] = torch.tensor(g.ids), 1
                vectors = table(ids.to(device))
                for line, g in enumerate(some):
                    shown = torch.tensor(~g.hidden, device=device, dtype=vectors.dtype) / max(
                        1 - how.dropout, 1e-6
                    )
                    vectors[line, g.at] = (
                        table(torch.tensor(g.pieces, device=device)).mean(0) * shown
                    )
                logits = model(inputs_embeds=vectors, attention_mask=mask.to(device)).logits
                at = torch.tensor([g.at for g in some], device=device)
                p = (
                    logits[torch.arange(len(some), device=device), at]
                    .double()
                    .softmax(-1)
                    .cpu()
                    .numpy()
                )
                for g, probabilities in zip(some, p, strict=True):
                    swaps[g.of] += self._fitting(g, texts[g.of][1], probabilities, how.n)
        return [
            neighbors_of(text, found, how.n, how.words)
            for (_, text), found in zip(texts, swaps, strict=True)
        ]

    def _gaps(self, of: int, before: str, text: str, how: Neighbors) -> Iterator[Gap]:
        """The words of a text.

        A text that the model cannot read at once is read in blocks of whole words, without what
        stands before.
        """
        found = self.tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )
        ids, where, words = found["input_ids"], found["offset_mapping"], found.word_ids()
        if not ids:
            return
        starts = [
            i for i in range(len(ids)) if i == 0 or words[i] is None or words[i] != words[i - 1]
        ]
        spans = list(zip(starts, [*starts[1:], len(ids)], strict=True))
        head, tail, room = self._frame
        ahead = self.tokenizer(before, add_special_tokens=False, verbose=False)["input_ids"][
            -max(1, room - len(ids)) :
        ]
        runs = [(0, len(ids))] if len(ids) <= room else list(blocks(spans, room))
        lead = (*head, *(ahead if len(ids) < room else ()))
        dice = np.random.default_rng(
            Random(f"neighbours/{how.seed}/{before}/{text}").getrandbits(64)
        )
        width = self.model.get_input_embeddings().weight.shape[1]
        for a, b in runs:
            for i, j in (s for s in spans if a <= s[0] and s[1] <= b):
                first, last = core(text, where[i][0], where[j - 1][1])
                if first < last:
                    line = (*lead, *ids[a:i], ids[i], *ids[j:b], *tail)
                    yield Gap(
                        of,
                        first,
                        last,
                        line,
                        len(lead) + i - a,
                        tuple(ids[i:j]),
                        dice.random(width) < how.dropout,
                    )

    def _fitting(self, gap: Gap, text: str, p: np.ndarray, n: int) -> list[Swap]:
        """The n words that fit best in a gap and differ from what stands there, with their ranks."""
        old, (names, spaced) = text[gap.first : gap.last], self._words
        own = p[gap.pieces[0]] if len(gap.pieces) == 1 else 0.0
        sort = spaced[gap.pieces[0]] or 1  # what begins after a space is replaced by what does, too
        others = np.flatnonzero(spaced[: len(p)] == sort)
        some = (
            others[np.argpartition(-p[others], min(4 * n, len(others) - 1))[: 4 * n]]
            if len(others)
            else others
        )
        found: dict[str, float] = {}
        for i in some[np.lexsort((some, -p[some]))]:
            if names[i].casefold() != old.casefold():
                found.setdefault(in_case(names[i], old), float(p[i]) / max(1 - float(own), 1e-12))
        return [Swap(rank, gap.first, gap.last, new) for new, rank in list(found.items())[:n]]

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        import transformers

        quiet()
        try:
            model, report = transformers.AutoModelForMaskedLM.from_pretrained(
                self.place,
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                dtype=torch.float32,
                output_loading_info=True,
            )
            tokenizer = transformers.AutoTokenizer.from_pretrained(
                self.place, local_files_only=True, trust_remote_code=False
            )
        # a settings file of the wrong type can break any line of the library
        except Exception as error:
            raise Refused(
                f"--mlm {self.source}: no masked language model can be read here "
                f"({first_line(error)})"
            ) from None
        if report["missing_keys"] or report["mismatched_keys"]:
            raise Refused(
                f"--mlm {self.source}: no weights of a masked language model; give the folder of "
                f"one, such as BERT"
            )
        if not getattr(tokenizer, "is_fast", False):
            raise Refused(
                f"--mlm {self.source}: its tokenizer does not say where its words are; give a "
                f"model with a tokenizer.json"
            )
        return model.eval(), tokenizer

    @property
    def model(self) -> Any:
        return self._loaded[0]

    @property
    def tokenizer(self) -> Any:
        return self._loaded[1]

    @cached_property
    def _frame(self) -> tuple[tuple[int, ...], tuple[int, ...], int]:
        """What the tokenizer puts before and behind a text, and how many tokens a text may have."""
        bare = self.tokenizer("a", add_special_tokens=False)["input_ids"]
        full = self.tokenizer("a")["input_ids"]
        at = next(i for i in range(len(full)) if full[i : i + len(bare)] == bare)
        head, tail = tuple(full[:at]), tuple(full[at + len(bare) :])
        most = min(
            512,
            getattr(self.model.config, "max_position_embeddings", 512),
            self.tokenizer.model_max_length,
        )
        return head, tail, most - len(head) - len(tail)

    @cached_property
    def _words(self) -> tuple[list[str], np.ndarray]:
        """Every token as text, and 0 where it is no whole word, 1 where it is one, 2 where it is
        one that begins after a space.
        """
        tokens = self.tokenizer.convert_ids_to_tokens(range(len(self.tokenizer)))
        special = set(self.tokenizer.all_special_ids)
        names = [self.tokenizer.convert_tokens_to_string([t]).strip() for t in tokens]
        whole = [
            n.isalnum() and not t.startswith("##") and i not in special
            for i, (t, n) in enumerate(zip(tokens, names, strict=True))
        ]
        return names, np.array(
            [w * (1 + (t[:1] in ("Ġ", "▁"))) for w, t in zip(whole, tokens, strict=True)]
        )
