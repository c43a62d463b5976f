"""One thread a process, no network, and where the shared benchmark rows lie."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of benchmark rows and peer values: EXPUNGE_SHARED, or ``../shared`` beside the repository."""
    place = Path(os.environ.get("EXPUNGE_SHARED", Path(__file__).resolve().parents[2] / "shared"))
    if not (place / "data").is_dir():
        pytest.skip(f"benchmark rows absent: no folder {place.name}/data; set EXPUNGE_SHARED")
    return place
