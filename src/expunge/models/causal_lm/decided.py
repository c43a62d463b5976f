"""What decides a language model's answers besides its weights."""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from expunge.models.deciding import WHERE


def decided_by(model: Any, tokenizer: Any, eos_ids: Sequence[int]) -> str:
    """sha256 over what a loaded model says of itself: architecture and settings (rope, eps,
    activation, heads), precision, device, generation settings, adapters (alpha, targets) and the
    whole tokenizer (normalizer, merges, added tokens, template).

    Two models with equal weights and equal ``decided_by`` answer alike.
    """
    weights = list(model.parameters())
    facts: list[object] = [
        f"{type(model).__module__}.{type(model).__qualname__}",
        str(weights[0].device.type),
    ]
    facts.append(sorted({str(p.dtype) for p in weights}))
    config = getattr(model, "config", None)
    facts += [_settings(config), getattr(config, "_attn_implementation", None)]
    facts.append(_settings(getattr(model, "generation_config", None)))
    adapters = getattr(model, "peft_config", {})
    facts.append({name: _settings(settings) for name, settings in adapters.items()})
    facts += [
        str(getattr(model, "active_adapters", None)) if adapters else "",
        list(eos_ids),
        words(tokenizer),
    ]
    return sha256(json.dumps(facts, default=_plain, sort_keys=True).encode()).hexdigest()


def words(tokenizer: Any) -> str:
    """sha256 over all that a tokenizer does to a text, not its vocabulary alone."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    whole = (
        json.loads(backend.to_str())
        if backend is not None
        else sorted(tokenizer.get_vocab().items())
    )
    if isinstance(whole, dict):
        # set by the last call
        whole = {k: v for k, v in whole.items() if k not in ("padding", "truncation")}
    told = {
        k: v
        for k, v in getattr(tokenizer, "init_kwargs", {}).items()
        if k not in (*WHERE, "tokenizer_file", "vocab_file")
    }
    facts = [type(tokenizer).__name__, whole, told, getattr(tokenizer, "chat_template", None)]
    facts.append(getattr(tokenizer, "special_tokens_map", None))
    return sha256(json.dumps(facts, default=_plain, sort_keys=True).encode()).hexdigest()


def _settings(config: Any) -> Any:
    if config is None or not hasattr(config, "to_dict"):
        return None
    return {k: v for k, v in config.to_dict().items() if k not in WHERE}


def _plain(value: Any) -> Any:
    """What JSON has no word for: sets in order, anything else by its text."""
    return sorted(map(str, value)) if isinstance(value, (set, frozenset)) else str(value)
