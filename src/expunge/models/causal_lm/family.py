"""Causal language models as a family (``models.base.Family``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from expunge.core.data import Example
from expunge.models.base import LANGUAGE_MODEL, Capability
from expunge.models.causal_lm import tiny
from expunge.models.causal_lm.load import load, tokenizer_of
from expunge.models.causal_lm.model import Subject, check_same_words
from expunge.models.causal_lm.save import save
from expunge.models.modules import digest_tensors


@dataclass(frozen=True)
class CausalLanguageModels:
    """Decoders that read and write texts, from Hugging Face folders, adapters and hub ids."""

    name: str = "causal_lm"
    title: str = "a language model"
    capabilities: frozenset[Capability] = LANGUAGE_MODEL
    lr: float = tiny.LR

    def reads(self, settings: Mapping[str, Any]) -> bool:
        """Whatever no other family claims: what cannot be read is refused by ``load``."""
        return True

    def holds(self, examples: Sequence[Example]) -> bool:
        """Whatever no other family claims."""
        return True

    def load(
        self, source: str | Path, *, dtype: str, device: str, trust_remote_code: bool
    ) -> Subject:
        """See ``causal_lm.load``."""
        return load(source, dtype=dtype, device=device, trust_remote_code=trust_remote_code)

    def save(self, model: Subject, folder: Path, card: str) -> Path:
        """See ``causal_lm.save``."""
        return save(model, folder, card)

    def fresh(self, examples: Sequence[Example], own: Sequence[Example], seed: int) -> Subject:
        """A new tiny Llama whose tokenizer is made of the texts of ``own``."""
        texts: set[str] = set()
        for e in own:
            texts.update(t for t in (e.prompt, e.answer, e.text, *e.variants.values()) if t)
        model, tokenizer = tiny.build(sorted(texts), seed=seed)
        return Subject(model, tokenizer, "tiny", None, digest_tensors(model))

    def said_by(self, model: Subject) -> Any:
        """The tokenizer."""
        return model.tokenizer

    def said_at(self, source: str, trust_remote_code: bool) -> Any:
        """The tokenizer."""
        return tokenizer_of(source, trust_remote_code)

    def check_alike(self, name: str, one: Any, other: str, another: Any) -> None:
        """Refuse two tokenizers that cut texts into other tokens."""
        check_same_words(name, one, other, another)
