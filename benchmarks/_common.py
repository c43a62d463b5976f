"""What the benchmarks share: one thread before torch is imported, rows and models, plain fine-tuning, clocks and counters."""

from __future__ import annotations

import os

for _name, _value in {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}.items():
    os.environ[_name] = _value  # two default threads beside another job cost more than they bring, and their spinning counts as CPU time
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import gc
import platform
import resource
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor
from torch.utils.data import DataLoader
from transformers import LlamaConfig, LlamaForCausalLM, PrinterCallback, Trainer, TrainerCallback

from expunge.core.types import Row
from expunge.data.encode import encode
from expunge.data.read import read
from expunge.engine.descend import arguments
from expunge.engine.plan import Training
from expunge.models.load import DTYPES, load, quiet
from expunge.models.subject import Subject
from expunge.prepare.refusals import refusals

ROOT = Path(__file__).resolve().parents[1]
Clock = Callable[[], float]

# width, MLP width, blocks, heads, key-value heads, vocabulary: the shape of Llama-3.2-1B, and one that a CPU runs in a blink
SHAPES = {"1b": (2048, 8192, 16, 32, 8, 128256), "tiny": (64, 172, 4, 4, 2, 4096)}


def shared_folder() -> Path:
    """The folder of benchmark rows and peer checkpoints: EXPUNGE_SHARED, or ``../shared`` beside the repository."""
    place = Path(os.environ.get("EXPUNGE_SHARED", ROOT.parent / "shared"))
    if not (place / "data").is_dir():
        raise SystemExit(f"benchmark rows absent: no folder {place.name}/data; set EXPUNGE_SHARED")
    return place


def subject_of(model: Path, shape: str | None, device: str, dtype: str) -> Subject:
    """The checkpoint in ``model``, or a Llama of random weights and a named shape that speaks through that folder's tokenizer."""
    quiet()
    if shape is None:
        return load(model, device=device, dtype=dtype)
    width, ffn, layers, heads, kv, vocab = SHAPES[shape]
    config = LlamaConfig(
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
        made = LlamaForCausalLM(config).to(DTYPES[dtype]).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    return Subject(made, tokenizer, shape, None, "random")


def tofu_streams(data: Path, tokenizer: Any) -> dict[str, list[Row]]:
    """TOFU forget10 with its refusals, and the rows of full.json that the small checkpoint of the peer knows (0-399)."""
    forget = read(data / "tofu" / "forget10.json", role="forget")
    retain = read(data / "tofu" / "full.json.gz", role="retain")[:400]
    examples = {"forget": forget, "retain": retain, "alternate": refusals(forget, 0)}
    return {name: encode(tokenizer, rows) for name, rows in examples.items()}


# ------------------------------------------------------------------ clocks and counters


def clock_for(device: torch.device) -> Clock:
    """CPU seconds of this process on a CPU; wall seconds after everything queued has run on a GPU."""
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
        return next(int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def machine(device: torch.device) -> str:
    """What the numbers were made on, without a name of the machine."""
    what = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{os.cpu_count()} CPU cores ({platform.machine()})"
    versions = f"torch {torch.__version__}, transformers {transformers.__version__}, Python {platform.python_version()}"
    return f"{what}, {torch.get_num_threads()} thread(s); {versions}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, its columns aligned for the terminal too."""
    wide = [max(len(r[i]) for r in (head, *rows)) for i in range(len(head))]
    line = lambda cells: "| " + " | ".join(c.ljust(w) for c, w in zip(cells, wide, strict=True)) + " |"  # noqa: E731
    return "\n".join([line(head), line(["-" * w for w in wide]), *map(line, rows)])
