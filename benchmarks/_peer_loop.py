"""The leading peer's TOFU evaluation, written anew from its description (counts and causes, not
code): every metric makes its own pass.

Batches of 32 in the order of the data, padded on the right; the head runs on every position; labels
go along, so the model computes a loss that nobody reads, and the metric computes another. Where the
description leaves a choice, the cheaper one is taken: rows are tokenized by our ``encode`` and not
by three chat templates each, log-softmax runs on answer positions only, nothing is saved.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from _common import Clock
from _plain import padded
from torch import Tensor

from expunge.core.data import Examples, Row
from expunge.models.causal_lm.generate import left_padded
from expunge.models.causal_lm.model import Subject
from expunge.models.causal_lm.tokenize import encode
from expunge.models.modules import evaluating
from expunge.scoring.bootstrap import auc
from expunge.scoring.per_row import rouge_l_recall_of

BATCH, SHARE_OF_TOKENS, LEAST_VARIANCE = 32, 0.4, 1e-6
LABELED = ("forget", "retain", "real_authors", "world_facts")
Key = tuple[str, str, str]


@dataclass
class Peer:
    """One evaluation.

    ``loss`` mean nats of every (role, id, variant); ``text`` token ids by (role, id); ``auc`` by
    metric.
    """

    subject: Subject
    reference: Subject
    roles: Mapping[str, Examples]
    clock: Clock
    max_new_tokens: int = 200
    loss: dict[Key, float] = field(default_factory=dict)
    text: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    rouge: dict[tuple[str, str], float] = field(default_factory=dict)
    auc: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def run(self) -> Peer:
        """Every metric in turn; GradNorm is left out, and the second generation of the forget
        answers (see ``para_rouge``).
        """
        for role in LABELED:
            for variants in (
                ("answer",),
                *((("paraphrase",),) if role in ("forget", "retain") else ()),
                ("perturbed/",),
            ):
                with self.timed("teacher-forced"):
                    self.loss |= self.by_row(role, self.nll, variants)
            with self.timed("generation"):
                self.generate(role)
        with self.timed("teacher-forced"):
            self.by_row("forget", self.strength)
            self.by_row("forget", self.exact)
            self.memberships()
        return self

    @contextmanager
    def timed(self, part: str) -> Any:
        since = self.clock()
        yield
        self.seconds[part] = self.seconds.get(part, 0.0) + self.clock() - since

    def para_rouge(self) -> None:
        """The peer's other ROUGE of the forget rows, which generates them once more."""
        with self.timed("para_rouge"):
            self.generate("forget")

    def memberships(self) -> None:
        """Five attacks, each with its own passes over forget and holdout: min-k++ makes two,
        reference one through a second model.
        """
        attacks: dict[str, Callable[[str], dict[Key, float]]] = {
            "mia_loss": lambda role: self.by_row(role, self.nll),
            "mia_zlib": lambda role: self.by_row(role, self.per_byte),
            "mia_min_k": lambda role: self.by_row(role, self.min_k),
            "mia_min_k_plus_plus": lambda role: self.by_row(role, self.min_k_plus_plus),
            "mia_reference": self.against_reference,
        }
        for name, attack in attacks.items():
            scores = {role: attack(role) for role in ("forget", "holdout")}
            if name == "mia_loss":
                self.loss |= scores["holdout"]
            mine, theirs = (
                torch.tensor([-v for v in scores[role].values()]).double().numpy()
                for role in ("forget", "holdout")
            )
            self.auc[name] = auc(mine, theirs)

    def against_reference(self, role: str) -> dict[Key, float]:
        own, other = (
            self.by_row(role, self.nll),
            self.by_row(role, self.nll, model=self.reference.model),
        )
        return {key: own[key] - other[key] for key in own}

    # -------------------------------------------------------------- teacher-forced

    def by_row(
        self,
        role: str,
        score: Callable[..., list[float]],
        variants: Sequence[str] = ("answer",),
        model: Any = None,
    ) -> dict[Key, float]:
        """One metric's pass: tokenize the rows, run them in the order of the data, a number for
        each.
        """
        rows = encode(self.subject.tokenizer, self.roles[role], variants=variants)
        found: dict[Key, float] = {}
        model = model or self.subject.model
        with evaluating(model):
            for first in range(0, len(rows), BATCH):
                batch = rows[first : first + BATCH]
                inputs = {k: v.to(self.subject.device) for k, v in padded(batch).items()}
                found |= zip(
                    ((r.role, r.id, r.variant) for r in batch),
                    score(model, inputs, batch),
                    strict=True,
                )
        return found

    def nll(self, model: Any, inputs: Mapping[str, Tensor], rows: Sequence[Row]) -> list[float]:
        """Mean loss per row: the second cross-entropy, over all positions, on transposed logits."""
        logits = model(**inputs).logits[:, :-1].float()
        labels = inputs["labels"][:, 1:]
        losses = F.cross_entropy(
            logits.transpose(-1, -2), labels, ignore_index=-100, reduction="none"
        ).sum(-1)
        return (losses / (labels != -100).sum(-1)).tolist()

    def per_byte(
        self, model: Any, inputs: Mapping[str, Tensor], rows: Sequence[Row]
    ) -> list[float]:
        return [
            x / len(zlib.compress(r.text.encode()))
            for x, r in zip(self.nll(model, inputs, rows), rows, strict=True)
        ]

    def answers(
        self, model: Any, inputs: Mapping[str, Tensor], rows: Sequence[Row]
    ) -> list[tuple[Tensor, Tensor]]:
        """Logits and labels of each row's answer without the token that ends it."""
        logits = model(**inputs).logits
        spans = [(i, r.n_prompt, len(r) - r.eos) for i, r in enumerate(rows)]
        return [(logits[i, a - 1 : b - 1].float(), inputs["labels"][i, a:b]) for i, a, b in spans]

    def exact(self, model: Any, inputs: Mapping[str, Tensor], rows: Sequence[Row]) -> list[float]:
        return [
            float((z.argmax(-1) == y).float().mean()) for z, y in self.answers(model, inputs, rows)
        ]

    def strength(
        self, model: Any, inputs: Mapping[str, Tensor], rows: Sequence[Row]
    ) -> list[float]:
        found = []
        for z, y in self.answers(model, inputs, rows):
            guessed = z.argmax(-1)
            suffix = next((k for k in range(len(y)) if torch.equal(guessed[k:], y[k:])), len(y))
            found.append(1 - suffix / len(y))
        return found

    def min_k(self, model: Any, inputs: Mapping[str, Tensor], rows: Sequence[Row]) -> list[float]:
        return [
            -lowest(z.log_softmax(-1).gather(-1, y[:, None])[:, 0])
            for z, y in self.answers(model, inputs, rows)
        ]

    def min_k_plus_plus(
        self, model: Any, inputs: Mapping[str, Tensor], rows: Sequence[Row]
    ) -> list[float]:
        """Two forwards: one for the tokens' log-probabilities, one for those of the whole
        vocabulary.
        """
        own = [
            z.log_softmax(-1).gather(-1, y[:, None])[:, 0]
            for z, y in self.answers(model, inputs, rows)
        ]
        whole = [z.log_softmax(-1) for z, _ in self.answers(model, inputs, rows)]
        found = []
        for logp, wide in zip(own, whole, strict=True):
            p = wide.exp()
            mean = (p * wide).sum(-1)
            variance = (p * wide.square()).sum(-1) - mean.square()
            found.append(-lowest((logp - mean) / variance.clamp(min=LEAST_VARIANCE).sqrt()))
        return found

    # -------------------------------------------------------------- generation

    def generate(self, role: str) -> None:
        """Hugging Face generate from every prompt, padded on the left, in the order of the data;
        ROUGE of each text.
        """
        tokenizer, eos = self.subject.tokenizer, list(self.subject.eos_ids)
        rows = encode(tokenizer, self.roles[role])
        how = {
            "max_new_tokens": self.max_new_tokens,
            "do_sample": False,
            "eos_token_id": eos,
            "pad_token_id": eos[0],
        }
        with evaluating(self.subject.model):
            for first in range(0, len(rows), BATCH):
                batch = rows[first : first + BATCH]
                ids, mask = left_padded([r.ids[: r.n_prompt] for r in batch], self.subject.device)
                made = self.subject.model.generate(ids, attention_mask=mask, **how)[
                    :, ids.shape[1] :
                ].tolist()
                for row, tokens in zip(batch, made, strict=True):
                    end = next((i + 1 for i, t in enumerate(tokens) if t in eos), len(tokens))
                    self.text[role, row.id] = tokens[:end]
                    self.rouge[role, row.id] = rouge_l_recall_of(
                        row.text, tokenizer.decode(tokens, skip_special_tokens=True)
                    )


def lowest(x: Tensor) -> float:
    """Mean of the lowest share of the values, at least one of them."""
    return float(x.sort().values[: max(1, int(len(x) * SHARE_OF_TOKENS))].mean()) if len(x) else 0.0
