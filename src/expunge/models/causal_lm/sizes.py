"""Sizes that a model's settings file claims, held to bounds before anything of that size is made."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from expunge.core.errors import Refused

LAYERS = re.compile(r"(^|_)layers?$")
PARTS = re.compile(r"experts|(^|_)heads?$")
WIDTHS = re.compile(
    r"(hidden|intermediate|vocab|embedding|state|head)_(size|dim)$|^(n_embd|n_inner|d_model|d_ff|d_kv|d_inner)$"
)
# several times the largest that transformers knows
MOST = ((LAYERS, 1024), (PARTS, 2**16), (WIDTHS, 2**22))
# experts of all layers together; the largest that transformers knows has some 520,000
MOST_BLOCKS = 2**20


def check_sizes(place: Path | str, settings: Mapping[str, Any]) -> None:
    """Refuse a config.json whose layers, heads, experts or widths are beyond any model: the lists
    and modules that transformers would make of them take all memory before a weight is compared.
    """
    for part in _parts(settings):
        layers, experts = 1, 1
        for name, value in part.items():
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                continue
            for names, most in MOST:
                if names.search(str(name)) and not value <= most:
                    raise Refused(
                        f"{place}: config.json says {name} {value:g}, more than any model has "
                        f"({most}); its weights do not say so"
                    )
            layers = max(layers, int(value)) if LAYERS.search(str(name)) else layers
            experts = max(experts, int(value)) if "experts" in str(name) else experts
        if layers * experts > MOST_BLOCKS:
            raise Refused(
                f"{place}: config.json says {layers} layers of {experts} experts, more than any "
                f"model has"
            )


def _parts(settings: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The settings and those of the parts in them (text_config, vision_config)."""
    waiting = [settings]
    while waiting:
        part = waiting.pop()
        yield part
        waiting += [value for value in part.values() if isinstance(value, Mapping)]


def check_ranks(place: Path, settings: Mapping[str, Any], longest: int) -> None:
    """Refuse an adapter_config.json that claims a size beyond the longest side of the tensors that
    came with it.
    """
    pattern = settings.get("rank_pattern")
    ranks = [settings.get("r"), *(pattern.values() if isinstance(pattern, Mapping) else ())]
    said = [
        *(("rank", r) for r in ranks),
        ("num_virtual_tokens", settings.get("num_virtual_tokens")),
    ]
    for name, value in said:
        if isinstance(value, (int, float)) and not value <= longest:
            raise Refused(
                f"{place}: adapter_config.json says {name} {value:g}, and no side of its tensors "
                f"is longer than {longest}"
            )
