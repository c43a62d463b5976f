"""A model that is nearly another one, in a folder of its own: a gold that is not the judged model
itself.
"""

import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file


def another(folder: Path, place: Path, by: float = 0.05) -> Path:
    """A copy of a model folder in ``place``, with noise of ``by`` of each tensor's own spread on
    the weights.
    """
    shutil.copytree(folder, place, ignore=shutil.ignore_patterns("manifest.json", "run.yaml"))
    noise = torch.Generator().manual_seed(7)
    for file in place.glob("*.safetensors"):
        weights = load_file(file)
        for name, tensor in weights.items():
            spread = tensor.float().std() if tensor.numel() > 1 else torch.tensor(1.0)
            weights[name] = (tensor + by * spread * torch.randn(tensor.shape, generator=noise)).to(
                tensor.dtype
            )
        save_file(weights, file, metadata={"format": "pt"})
    return place
