"""What decides a model's answers besides its weights: of one that is loaded, and of the files in
its folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from expunge.core.files import MANIFEST, sha256_of
from expunge.models.causal_lm.model import Subject

# what libraries read of a model's folder; other files (a README, an optimizer's state) decide
# nothing
READ = (".json", ".safetensors", ".jinja", ".txt", ".model", ".tiktoken", ".vocab", ".bpe", ".py")
UNREAD = (MANIFEST, "trainer_state.json", "base.json", "requirements.txt", "LICENSE.txt")
SETTINGS = ("config.json", "generation_config.json", "tokenizer_config.json", "adapter_config.json")
# of settings, what says where a model lay and who wrote it; saving a model again changes these
# alone
WHERE = (
    "_name_or_path",
    "name_or_path",
    "base_model_name_or_path",
    "transformers_version",
    "is_local",
    "local_files_only",
)


def decided_by(subject: Subject) -> str:
    """sha256 over what a loaded model says of itself: architecture and settings (rope, eps,
    activation, heads), precision, device, generation settings, adapters (alpha, targets) and the
    whole tokenizer (normalizer, merges, added tokens, template).

    Two subjects with equal weights and equal ``decided_by`` answer alike.
    """
    model, tokenizer = subject.model, subject.tokenizer
    weights = list(model.parameters())
    facts: list[object] = [
        f"{type(model).__module__}.{type(model).__qualname__}",
        str(subject.device.type),
    ]
    facts.append(sorted({str(p.dtype) for p in weights}))
    config = getattr(model, "config", None)
    facts += [_settings(config), getattr(config, "_attn_implementation", None)]
    facts.append(_settings(getattr(model, "generation_config", None)))
    adapters = getattr(model, "peft_config", {})
    facts.append({name: _settings(settings) for name, settings in adapters.items()})
    facts += [
        str(getattr(model, "active_adapters", None)) if adapters else "",
        list(subject.eos_ids),
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


def deciding(place: Path) -> Iterator[str]:
    """A line for every file of a model's folder that a library reads: its name and its sha256.

    Links are followed, and shards that the index names outside of the folder are among them.
    """
    own = [p for p in place.iterdir() if p.suffix in READ and p.name not in UNREAD]
    files = {p.name: p for p in own if not p.name.startswith(".")}
    files |= {str(p.relative_to(place)): p for p in place.glob("additional_chat_templates/*.jinja")}
    files |= {str(p.relative_to(place)): p for p in place.rglob("*.py")}
    files |= {name: place / name for name in _shards(place)}
    for name, file in sorted(files.items()):
        if file.is_file():
            yield f"{name} {_told(file) if name in SETTINGS else sha256_of(file)}"


def _told(file: Path) -> str:
    """sha256 of what a file of settings says, in any order and wherever the model lay."""
    try:
        found = {k: v for k, v in json.loads(file.read_bytes()).items() if k not in WHERE}
        return sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()
    except (ValueError, AttributeError, RecursionError):
        return sha256_of(file)


def _shards(place: Path) -> set[str]:
    """The weight files that an index of the folder names; an index that cannot be read names none."""
    found: set[str] = set()
    for index in place.glob("*.safetensors.index.json"):
        try:
            found |= {str(name) for name in json.loads(index.read_bytes())["weight_map"].values()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue
    return found
