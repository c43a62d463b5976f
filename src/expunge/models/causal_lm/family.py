"""Causal language models as a family (``models.base.Family``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from expunge.models.causal_lm.load import load
from expunge.models.causal_lm.model import Subject
from expunge.models.causal_lm.save import save


@dataclass(frozen=True)
class CausalLanguageModels:
    """Decoders that read and write texts, from Hugging Face folders, adapters and hub ids."""

    name: str = "causal_lm"
    title: str = "language model"

    def reads(self, settings: Mapping[str, Any]) -> bool:
        """Whatever no other family claims: what cannot be read is refused by ``load``."""
        return True

    def load(
        self, source: str | Path, *, dtype: str, device: str, trust_remote_code: bool
    ) -> Subject:
        """See ``causal_lm.load``."""
        return load(source, dtype=dtype, device=device, trust_remote_code=trust_remote_code)

    def save(self, model: Subject, folder: Path, card: str) -> Path:
        """See ``causal_lm.save``."""
        return save(model, folder, card)
