"""YAML of a user, read within bounds: deep nesting takes the parser a time that grows with its
square.
"""

from __future__ import annotations

import re
from typing import Any

DEEPEST = 64  # brackets inside brackets
LARGEST = 1 << 22  # characters
BRACKET = re.compile(r"[\[\]{}]")


def safe_yaml(text: str) -> Any:
    """What ``yaml.safe_load`` makes of a text.

    Raises:
        ValueError: the text is larger than LARGEST, or brackets stand inside one another more than
            DEEPEST deep. yaml.YAMLError, RecursionError: as the parser raises them.
    """
    import yaml

    check_nesting(text)
    return yaml.safe_load(text)


def check_nesting(text: str) -> None:
    """ValueError if a text is too large, or nested too deep, to be parsed in a time that anybody
    would wait.
    """
    if len(text) > LARGEST:
        raise ValueError(f"more than {LARGEST >> 20} Mi characters")
    depth = 0
    for bracket in BRACKET.finditer(text):
        if bracket.group() in "[{":
            depth = depth + 1
        else:
            depth = max(0, depth - 1)
        if depth > DEEPEST:
            raise ValueError(f"brackets nested more than {DEEPEST} deep")
