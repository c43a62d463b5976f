"""What the benchmarks share: rows and models, clocks, the machine in words, a table."""

from __future__ import annotations

import os
import platform
import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import _threads  # noqa: F401
import torch
import transformers

from expunge.core.data import Row
from expunge.data.read import read
from expunge.models.causal_lm.load import load
from expunge.models.causal_lm.model import Subject
from expunge.models.causal_lm.tokenize import encode
from expunge.models.checkpoint import DTYPES
from expunge.models.quiet import quiet
from expunge.synthesis.refusals import refusals

ROOT = Path(__file__).resolve().parents[1]
Clock = Callable[[], float]

# width, MLP width, blocks, heads, key-value heads, vocabulary: the shape of Llama-3.2-1B, and one
# that a CPU runs in a blink
SHAPES = {"1b": (2048, 8192, 16, 32, 8, 128256), "tiny": (64, 172, 4, 4, 2, 4096)}


def shared_folder() -> Path:
    """The folder of benchmark rows and peer checkpoints: EXPUNGE_SHARED, or ``../shared`` beside
    the repository.
    """
    place = Path(os.environ.get("EXPUNGE_SHARED", ROOT.parent / "shared"))
    if not (place / "data").is_dir():
        raise SystemExit(f"benchmark rows absent: no folder {place.name}/data; set EXPUNGE_SHARED")
    return place


def subject_of(model: Path, shape: str | None, device: str, dtype: str) -> Subject:
    """The checkpoint in ``model``, or a Llama of random weights and a named shape that speaks
    through that folder's tokenizer.
    """
    quiet()
    if shape is None:
        return load(model, device=device, dtype=dtype)
    width, ffn, layers, heads, kv, vocab = SHAPES[shape]
    config = transformers.LlamaConfig(
        hidden_size=width,
        intermediate_size=ffn,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv,
        vocab_size=vocab,
        tie_word_embeddings=True,
        max_position_embeddings=2048,
    )
    torch.manual_seed(0)
    with torch.device(device):
        made = transformers.LlamaForCausalLM(config).to(DTYPES[dtype]).eval()
    return Subject(made, transformers.AutoTokenizer.from_pretrained(model), shape, None, "random")


def tofu_streams(data: Path, tokenizer: Any) -> dict[str, list[Row]]:
    """TOFU forget10 with its refusals, and the retain rows that the peer's small checkpoint knows
    (0-399 of full.json).
    """
    forget = read(data / "tofu" / "forget10.json", role="forget")
    retain = read(data / "tofu" / "full.json.gz", role="retain")[:400]
    examples = {"forget": forget, "retain": retain, "alternate": refusals(forget, 0)}
    return {name: encode(tokenizer, rows) for name, rows in examples.items()}


def clock_for(device: torch.device) -> Clock:
    """CPU seconds of this process on a CPU; on a GPU wall seconds after all queued work."""
    if device.type == "cpu":
        return time.process_time

    def synchronized() -> float:
        torch.cuda.synchronize()
        return time.perf_counter()

    return synchronized


def peak_bytes(device: torch.device) -> int:
    """Most memory that this process held: resident set on a CPU, allocated by torch on a GPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated()
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would hand down the parent's peak
        return next(
            int(line.split()[1]) * 1024
            for line in status.read_text().splitlines()
            if line.startswith("VmHWM")
        )
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def machine(device: torch.device) -> str:
    """What the numbers were made on, without a name of the machine."""
    what = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"{os.cpu_count()} CPU cores ({platform.machine()})"
    )
    versions = (
        f"torch {torch.__version__}, transformers {transformers.__version__}, Python "
        f"{platform.python_version()}"
    )
    return f"{what}, {torch.get_num_threads()} thread(s); {versions}"


def asked(arguments: Sequence[str]) -> str:
    """The options of a command as one writes them down: without absolute paths, which mean nothing
    elsewhere.
    """
    return " ".join(a for a in arguments if not Path(a).is_absolute())
