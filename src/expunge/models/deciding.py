"""The files of a model's folder that decide its answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from expunge.core.files import MANIFEST, sha256_of

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


def digest_plain(place: Path) -> str:
    """sha256 over the files of a folder that decide what its model says; it is no adapter."""
    digest = sha256()
    for line in deciding(place):
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()
