"""The libraries below keep their own progress bars and advice off our terminal."""

from __future__ import annotations

import transformers
from huggingface_hub.utils import logging as hub_logging


def quiet() -> None:
    """transformers' own progress bars and advice, and the hub's, stay off our terminal."""
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    hub_logging.set_verbosity_error()
