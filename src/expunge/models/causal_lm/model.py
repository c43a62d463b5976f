"""Subject: a model with its tokenizer, and where it came from."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from expunge.core.data import Example, Picture, Row
from expunge.core.errors import Refused
from expunge.core.stages import Adapter
from expunge.models.base import LANGUAGE_MODEL, Capability, Outputs, Sampling, Scored
from expunge.models.causal_lm.answer_spans import Tokens
from expunge.models.causal_lm.chat_template import frame_of
from expunge.models.causal_lm.decided import decided_by
from expunge.models.causal_lm.folders import is_adapter
from expunge.models.causal_lm.forward import Packed, capacity_for, forward, pack
from expunge.models.causal_lm.generate import decoding, greedy, sampled
from expunge.models.causal_lm.hooks import norms_before_head, patched, watched
from expunge.models.causal_lm.lora import attach, go_on, matrices, merged
from expunge.models.causal_lm.modules import blocks, unit_output
from expunge.models.causal_lm.option_rows import option_rows
from expunge.models.causal_lm.output_head import Head
from expunge.models.causal_lm.positions import check_places, room_for_texts
from expunge.models.causal_lm.score import scored
from expunge.models.causal_lm.sites import Sites
from expunge.models.causal_lm.tokenize import encode, encode_prompt
from expunge.models.changes import adapted_pairs, stored_pairs
from expunge.models.decoding import Decoding
from expunge.models.torch_model import TorchModel

UNBOUNDED = 1 << 30  # tokens: a length that cuts nothing


@dataclass
class Subject(TorchModel):
    """A causal language model and its tokenizer; the rest is as of ``TorchModel``."""

    tokenizer: Any
    source: str = ""
    folder: Path | None = None
    digest: str = ""
    capabilities: frozenset[Capability] = LANGUAGE_MODEL

    def encode(
        self,
        examples: Sequence[Example],
        *,
        max_length: int = 512,
        variants: Sequence[str] = ("answer",),
    ) -> list[Row]:
        """Rows of the wanted variants of examples, example by example.

        Args:
            examples: What the user gave.
            max_length: The longest row, in tokens; a longer question is refused, a longer text
                is cut into pieces.
            variants: Names of what is scored behind the prompt; ``perturbed/`` means all that
                begin so. What an example lacks is passed over.

        Returns:
            The rows, each with the role and the id of its example.

        Raises:
            Refused: A row cannot be read as it stands; its file and line are named.
        """
        for example in examples:
            if isinstance(example.media, Picture):
                raise Refused(
                    f"{example.source or example.id} is a picture, and "
                    f"{self.source or 'this model'} is a language model; take an image "
                    f"classifier, or rows of texts"
                )
        return encode(self.tokenizer, examples, max_length=max_length, variants=variants)

    def prompt_of(self, example: Example, *, max_length: int = UNBOUNDED) -> list[int]:
        """The ids that generation starts from; the example needs no answer for it."""
        return list(encode_prompt(self.tokenizer, example, max_length=max_length))

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids without control tokens, as it was written."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True))

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
        """A continuation of every prefix.

        Args:
            prefixes: Token ids to go on from.
            budgets: How many tokens may be written behind each.
            sampling: How to draw; None writes the likeliest token each time.
            ends: Tokens that end a text (kept as its last one); None: those of this model.
            logps: An empty list that is filled with the log-probability (nats) of every token
                drawn; with ``sampling`` only.
            batch: How many prefixes at most go through the model at once.
            tick: Called with the number of prefixes that are finished.

        Returns:
            The ids written, one list for each prefix.
        """
        last = self.eos_ids if ends is None else tuple(ends)
        done = (lambda n: None) if tick is None else tick
        if sampling is None:
            return greedy(self.model, prefixes, budgets, last, batch=batch, tick=done)
        return sampled(
            self.model,
            prefixes,
            budgets,
            last,
            sampling.seeds,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            logps=logps,
            batch=batch,
            tick=done,
        )

    def decoding(
        self,
        prefixes: Sequence[Sequence[int]],
        budgets: Sequence[int],
        *,
        ends: Sequence[int] | None = None,
        batch: int = 128,
        tick: Callable[[int], None] | None = None,
    ) -> Decoding:
        """``generate``, token by token: logits [B, V] go out, the tokens chosen come in.

        To be driven within ``evaluating()``; arguments as of ``generate``.
        """
        last = self.eos_ids if ends is None else tuple(ends)
        done = (lambda n: None) if tick is None else tick
        return decoding(self.model, prefixes, budgets, last, batch, done)

    def pack(self, rows: Sequence[Row], spans: Sequence[str] | None = None) -> Packed:
        """Rows laid out as one batch on the model's device.

        Args:
            rows: Rows that this model encoded.
            spans: What is scored of each: ``answer``, or ``all`` but the first token. None: answers.
        """
        return pack(list(rows), capacity_for(self.model), spans).to(self.device)

    def forward(
        self,
        batch: Packed,
        *,
        want_logits: bool = True,
        keep_last: bool = False,
        layers: Sequence[int] = (),
    ) -> Outputs:
        """One forward of a batch; gradients flow.

        Args:
            batch: What ``pack`` made.
            want_logits: Without, it stops after the deepest of ``layers``.
            keep_last: Also what the head was given.
            layers: Blocks whose outputs at the scored positions are kept.
        """
        return forward(
            self.model, batch, want_logits=want_logits, keep_last=keep_last, layers=layers
        )

    @property
    def depth(self) -> int:
        """How many blocks there are; ``layers`` counts them from 0."""
        return len(blocks(self.model))

    def predict(self, rows: Sequence[Row], *, span: str = "answer") -> tuple[Packed, Tensor]:
        """Logits that predict the scored tokens of rows, without gradient.

        Args:
            rows: Rows that this model encoded.
            span: ``answer`` scores each row's own scored tokens, ``all`` every token but the first.

        Returns:
            The rows as they were packed (labels [N], ``table`` to take values back to rows), and
            the logits [N, V].
        """
        packed = self.pack(rows, [span] * len(rows))
        with self.evaluating():
            logits = self.forward(packed).logits
        assert logits is not None
        return packed, logits

    def scored(self, rows: Sequence[Row]) -> Iterator[Scored]:
        """The logits that predict the answers of rows, each row once, in batches of bounded size.

        Answers to one prompt share it, and prompts that begin alike share their beginning. To be
        driven within ``evaluating()``.
        """
        return scored(self.model, rows, self.vocab)

    def watched(
        self, at: tuple[Tensor, Tensor], see: Callable[[int, Tensor], None]
    ) -> AbstractContextManager[None]:
        """Within it, ``see(block, states [N, D])`` is called as each block has run: its output at
        ``at`` = (bin, position).
        """
        return watched(self.model, at, see)

    def patched(
        self, layer: int, at: tuple[Tensor, Tensor], states: Tensor
    ) -> AbstractContextManager[None]:
        """Within it, block ``layer`` puts out ``states`` [N, D] at ``at``, and its own elsewhere."""
        return patched(self.model, layer, at, states)

    def head(self, rows: Sequence[Row]) -> Head:
        """A frozen copy of the output head, tried on some rows.

        Raises:
            Failed: The head is more than a linear map with a soft-cap.
        """
        return Head.of(self.model).verified(self.model, rows)

    @property
    def head_weight(self) -> Tensor:
        """The matrix of the output head: [V, D]."""
        weight: Tensor = self.model.get_output_embeddings().weight
        return weight

    def final_norms(self, ids: Sequence[int]) -> list[torch.nn.Module]:
        """What stands between the last block and the head, found by following ``ids`` through.

        Raises:
            Refused: The head is reached by other means.
        """
        return norms_before_head(self.model, ids)

    def unit_output(self, layer: int, unit: int) -> Tensor | None:
        """What one unit of a block's MLP writes into the stream: float32 [D]; None if there is no
        such unit.
        """
        return unit_output(self.model, layer, unit)

    def hugging_face(self) -> tuple[Any, Any]:
        """The model and the tokenizer of transformers, for tools of others that take these."""
        return self.model, self.tokenizer

    @property
    def family(self) -> str:
        return "causal_lm"

    def decided(self) -> str:
        """sha256 over what besides the weights decides its answers."""
        return decided_by(self.model, self.tokenizer, self.eos_ids)

    @property
    def anatomy(self) -> Sites:
        """The sites in its blocks."""
        return Sites(self.model)

    @property
    def adapter(self) -> Adapter | None:
        """The adapter that the model came with; None of a plain model."""
        present = getattr(self.model, "peft_config", {}).get("default")
        if present is None:
            return None
        return Adapter(present.r, float(present.lora_alpha), dropout=float(present.lora_dropout))

    def adaptable(self, targets: str) -> list[str]:
        """The modules whose weight matrix's name matches; none for '' (every linear layer)."""
        return matrices(self.model, targets)

    def attach(self, adapter: Adapter, targets: Sequence[str], seed: int) -> None:
        """Put a fresh LoRA adapter on the model, in place."""
        attach(
            self,
            adapter.rank,
            alpha=adapter.alpha,
            targets=targets,
            dropout=adapter.dropout,
            seed=seed,
        )

    def go_on(self, pattern: str) -> None:
        """Train the adapter that the model came with, on the matrices whose name matches."""
        go_on(self, pattern)

    def merge(self) -> None:
        """Fold the adapter into the weights, all of which may be trained again; in place."""
        merged(self)

    def changed_from(self, folder: Path | None) -> Iterator[tuple[Tensor, Tensor]]:
        """(before, after) of the weights that a folder keeps and those of now; of a model with an
        adapter, of the matrices that carry it.
        """
        if self.adapter is not None:
            return adapted_pairs(self.model, folder)
        known = folder is not None and not is_adapter(folder)
        return stored_pairs(self.model, folder) if folder and known else iter(())

    @property
    def window(self) -> int | None:
        """How many tokens the model reads at most, as its configuration says; None if it says
        nothing.
        """
        most = getattr(self.model.config, "max_position_embeddings", None)
        return int(most) if most else None

    def room(self, examples: Sequence[Example], max_length: int) -> int:
        """``max_length``, or how much of a text the model reads at once if that is less."""
        return room_for_texts(self.model, max_length, examples)

    def check_rows(self, rows: Sequence[Row]) -> None:
        """Refuse, by file:line, rows that are longer than the model has places."""
        check_places(self.model, rows)

    def encode_options(
        self, examples: Sequence[Example], *, letters: bool = True, max_length: int = 512
    ) -> list[Row]:
        """Rows of the options of questions, see ``option_rows``: their texts, and their letters if
        ``letters``.
        """
        return option_rows(self.tokenizer, examples, letters=letters, max_length=max_length)

    @property
    def bos_ids(self) -> tuple[int, ...]:
        """What stands before every text; () if nothing does."""
        return Tokens(self.tokenizer).head

    def ids_with_controls(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of each text with what the tokenizer puts around one."""
        return [list(ids) for ids in self.tokenizer(list(texts))["input_ids"]] if texts else []

    def shortened(self, text: str, most: int) -> str:
        """A text up to its first ``most`` tokens, ``bos_ids`` counted among them."""
        tokens = Tokens(self.tokenizer)
        room = max(most - len(tokens.head), 0)
        ids = tokens.ids([text], plain=tokens.injects(text))[0]
        return text if len(ids) <= room else self.decode(ids[:room])

    def ids_of(self, text: str) -> list[int]:
        """The tokens of a text by themselves: nothing is put before or behind."""
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def words(self) -> list[int]:
        """Token ids that are words: no control tokens, no rows of the embedding without a token."""
        if self.tokenizer is None:
            return list(range(self.vocab))
        added = self.tokenizer.added_tokens_decoder.items()
        special = {i for i, token in added if token.special} | set(self.tokenizer.all_special_ids)
        return sorted(set(self.tokenizer.get_vocab().values()) - special)

    @property
    def left_behind(self) -> str:
        """What of the checkpoint is not in the model, in words; "" if all of it is."""
        return str(getattr(self.model, "_expunge_left_behind", ""))

    @property
    def vocab(self) -> int:
        """Rows of the embedding table."""
        return int(self.model.get_input_embeddings().weight.shape[0])

    @property
    def eos_ids(self) -> tuple[int, ...]:
        """Every token that ends a text: the generation settings' list, the tokenizer's own, and
        what the chat template writes at the end of an assistant's turn, with which answers end in
        training.
        """
        found = (
            *settings_ends(self.model),
            self.tokenizer.eos_token_id,
            end_of_turn(self.tokenizer),
        )
        return tuple(dict.fromkeys(int(i) for i in found if i is not None))


def settings_ends(model: Any) -> list[int]:
    """The tokens at which a model's generation settings let a text end."""
    ids = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    return [int(i) for i in (ids if isinstance(ids, (list, tuple)) else [ids]) if i is not None]


def end_of_turn(tokenizer: Any) -> int | None:
    """The token with which the chat template closes an assistant's turn; None without a template,
    or where it closes it with none.
    """
    template = getattr(tokenizer, "chat_template", None)
    if not template:
        return None
    key, found = getattr(tokenizer, "_expunge_end_of_turn", ("", None))
    if key != template:
        frame = frame_of(tokenizer, ("user", "assistant"), False)
        end, after = Tokens(tokenizer).closing(frame[-1]) if frame else (None, -1)
        found = end if after >= 0 else None
        tokenizer._expunge_end_of_turn = (template, found)
    return found


def words_of(tokenizer: Any) -> str:
    """sha256 of a tokenizer's vocabulary: two that differ cut texts into other tokens."""
    return sha256(json.dumps(sorted(tokenizer.get_vocab().items())).encode()).hexdigest()


def check_same_words(name: str, tokenizer: Any, other: str, others: Any) -> None:
    """Refused unless two models read texts in the same tokens: their per-token numbers could not be
    compared. Templates may differ.
    """
    if words_of(tokenizer) != words_of(others):
        a, b = (len(t.get_vocab()) for t in (tokenizer, others))
        raise Refused(
            f"{other} has another tokenizer than {name} ({b} and {a} tokens): what they say of a "
            f"token cannot be compared; "
            "train the other one from the same base model, or leave it away"
        )
