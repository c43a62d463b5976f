"""Weights in: Hugging Face folders, adapters and hub ids; safetensors only, every key accounted
for.
"""

from __future__ import annotations

import os
import warnings
from functools import partial
from glob import escape
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
import transformers
from huggingface_hub import HfApi, try_to_load_from_cache
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, RepositoryNotFoundError
from safetensors import safe_open

from expunge.core.errors import Refused, listed, nearest, out_of_memory
from expunge.core.notes import note
from expunge.models.causal_lm.folders import (
    ADAPTER_WEIGHTS,
    adapter_settings,
    base_of,
    base_record,
    check_plain,
    is_adapter,
    whole_model,
    words_at,
)
from expunge.models.causal_lm.leftover import left_behind, never_filled, stored_names
from expunge.models.causal_lm.model import Subject
from expunge.models.causal_lm.selftest import check_reading
from expunge.models.causal_lm.sizes import check_ranks, check_sizes
from expunge.models.checkpoint import check_files, device_of, dtype_of, first_line, model_folder
from expunge.models.deciding import deciding
from expunge.models.ensemble import digest_of, folders_of, is_ensemble, read_ensemble
from expunge.models.modules import digest_tensors
from expunge.models.quiet import quiet

HUB_SECONDS = 10.0  # that a hub has to answer whether it has a model


def load(
    source: str | Path,
    *,
    dtype: str = "auto",
    device: str = "auto",
    trust_remote_code: bool = False,
) -> Subject:
    """A Subject from a local folder (model or adapter) or a hub id.

    Refused: a missing folder, pickle weights, a truncated or altered file (against its manifest),
        missing or unexpected tensors (never filled at random), quantized weights, a model whose
        tokens see what follows them, an adapter whose base is another than it was made on, a
        tokenizer with more tokens than the model has rows, remote code without the flag. Tensors
        that the architecture passes over (a vision tower) are counted on standard error and in
        ``Subject.left_behind``.
    """
    quiet()
    place = Path(source)
    where = device_of(device)
    if not place.exists():
        return _from_hub(str(source), dtype, where, trust_remote_code)
    if not place.is_dir():
        raise Refused(f"{source} is a file; pass the model's folder")
    place = model_folder(place)
    if is_ensemble(place):
        member = partial(load, dtype=dtype, device=device, trust_remote_code=trust_remote_code)
        return read_ensemble(place, str(source), member)  # type: ignore[return-value]
    check_files(place)
    model = read_weights(place, dtype, where, trust_remote_code)
    tokenizer = _tokenizer(words_at(place), trust_remote_code)
    return _ready(Subject(model, tokenizer, str(source), place, digest_folder(place)))


def read_weights(place: Path, dtype: str, where: torch.device, trust_remote_code: bool) -> Any:
    """The model of a local folder, an adapter on its base, in evaluation mode on a device; every
    tensor accounted for.
    """
    if is_adapter(place):
        model = _adapter(place, dtype, where, trust_remote_code)
    else:
        model = _strict(place, dtype_of(dtype, where), trust_remote_code)
    return model.to(where).eval()


def _ready(subject: Subject) -> Subject:
    """The Subject after what is tried of every model that is read.

    Its model remembers the weights that it has: an adapter that is put on it later names them.
    """
    _fitting(subject)
    check_reading(subject.source, subject.model)
    if subject.left_behind:
        note(f"{subject.source}: {subject.left_behind}")
    if not hasattr(subject.model, "peft_config"):
        subject.model._expunge_base = (
            str(subject.folder.resolve()) if subject.folder else subject.source,
            subject.digest,
        )
    return subject


def digest_folder(place: Path) -> str:
    """sha256 over the files of a folder that decide what its model says (weights, settings,
    tokenizer, template, code); an adapter's includes its base's.
    """
    if is_ensemble(place):
        return digest_of([digest_folder(folder) for folder in folders_of(place)])
    digest = sha256()
    for line in deciding(place):
        digest.update(line.encode() + b"\n")
    if is_adapter(place):
        base = Path(base_of(place))
        digest.update((digest_folder(base) if base.is_dir() else str(base)).encode())
    return digest.hexdigest()


def _strict(place: Path, dtype: Any, trust: bool) -> Any:
    """The whole model of a folder."""
    stored = stored_names(place)
    with whole_model(place.resolve()) as folder:
        model = _read(folder, place, dtype, trust)
    # an adapter made on this model names it by this path, from wherever it is read
    model.name_or_path = model.config.name_or_path = str(place.resolve())
    lost = never_filled(stored, model)
    if lost:
        raise Refused(f"{place}: weights do not fit the architecture; missing: {listed(lost, 6)}")
    model._expunge_left_behind = left_behind(stored, model)
    return model


def _read(folder: Path | str, place: Path | str, dtype: Any, trust: bool) -> Any:
    """transformers' reading of a folder, which the user knows as ``place``; Refused where it fails
    or lets tensors fall.
    """
    try:
        check_sizes(place, transformers.PretrainedConfig.get_config_dict(folder)[0])
        config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=trust)
        check_plain(place, config)
        model, report = transformers.AutoModelForCausalLM.from_pretrained(
            folder,
            config=config,
            dtype=dtype,
            use_safetensors=True,
            trust_remote_code=trust,
            output_loading_info=True,
        )
    # a settings file of the wrong type can break any line of the library
    except Exception as error:
        if isinstance(error, Refused) or (isinstance(error, OSError) and isinstance(place, str)):
            raise  # said already, or a hub that does not answer
        if out_of_memory(error):
            raise MemoryError from None
        if "trust_remote_code" in str(error):
            raise Refused(
                f"{place} wants to run code of its own, which is not allowed; convert it to an "
                f"architecture that transformers has"
            ) from None
        raise Refused(f"{place}: no model can be read here ({first_line(error)})") from None
    lost = [
        *report["missing_keys"],
        *report["unexpected_keys"],
        *(str(k[0]) for k in report["mismatched_keys"]),
    ]
    if lost:
        raise Refused(
            f"{place}: weights do not fit the architecture; missing, unexpected or misshapen: "
            f"{listed(sorted(lost), 6)}"
        )
    return model


def _adapter(place: Path, dtype: str, where: torch.device, trust: bool) -> Any:
    """The base that the adapter's folder names, with the adapter on it.

    Refused: tensors missing, left over or of another shape.
    """
    from peft import PeftModel

    _check_kind(place)
    with safe_open(place / ADAPTER_WEIGHTS, framework="pt") as f:
        sides = [side for name in f.keys() for side in f.get_slice(name).get_shape()]  # noqa: SIM118
    check_ranks(place, adapter_settings(place), max(sides, default=0))
    base = base_of(place)
    if not Path(base).is_dir():
        note(f"{place}: the base of this adapter is the hub model {base}")
    below = load(base, dtype=dtype, device=str(where), trust_remote_code=trust)
    made_on = base_record(place).get("digest")
    if made_on and made_on != below.digest:
        raise Refused(
            f"{place}: its base {base} is not as it was when this adapter was made (weights, "
            f"settings or tokenizer); "
            "bring that model back, or make the adapter again"
        )
    try:
        # peft warns of what is missing and fills it at random; we look ourselves
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = PeftModel.from_pretrained(below.model, place)
    except (ValueError, KeyError, RuntimeError, TypeError) as error:
        raise Refused(
            f"{place}: this adapter does not fit its base {base} ({first_line(error)})"
        ) from None
    lost = _misfits(model, place)
    if lost:
        raise Refused(
            f"{place}: this adapter does not fit its base {base}; missing or unexpected: "
            f"{listed(lost, 6)}"
        )
    for config in model.peft_config.values():
        config.base_model_name_or_path = base
    return model


def _check_kind(place: Path) -> None:
    """Refuse adapters that put tokens of their own before a text: every place of a row would be
    read beside where it stands.
    """
    kind = str(adapter_settings(place).get("peft_type") or "").upper()
    if kind in ("PROMPT_TUNING", "P_TUNING", "MULTITASK_PROMPT_TUNING", "CPT"):
        raise Refused(
            f"{place}: an adapter of kind {kind} puts tokens of its own before every text, which "
            f"is not read here; "
            "use LoRA, IA3 or prefix tuning"
        )


def _misfits(model: Any, place: Path) -> list[str]:
    """Names of the adapter's file and of the model that have no counterpart, or that the model does
    not hold as the file does.

    An adapter on the embeddings or the head is saved with the layer below it, others may be: those
    take the place of the base's.
    """
    from peft import get_peft_model_state_dict

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        own = get_peft_model_state_dict(model, save_embedding_layers=False)
        more = {
            name: value
            for name, value in get_peft_model_state_dict(model, save_embedding_layers=True).items()
            if name not in own
        }
    with safe_open(place / ADAPTER_WEIGHTS, framework="pt") as f:
        stored = set(f.keys())
        lost = set(own) ^ (stored - set(more))
        embeddings = sorted(stored & set(more))
        for name in embeddings:
            value = more[name]
            if not torch.equal(f.get_tensor(name).to(value.device, value.dtype), value):
                lost.add(name)
    model._expunge_embeddings = bool(embeddings)  # they are saved with it again
    return sorted(lost)


def tokenizer_of(source: str | Path, trust_remote_code: bool = False) -> Any:
    """The tokenizer of a model, of a run's folder or of a hub id, without its weights."""
    place = Path(source)
    place = place / "model" if (place / "model").is_dir() else place
    if is_ensemble(place):
        place = folders_of(place)[0]
    if not place.is_dir():
        quiet()
        return _tokenizer(hub_place(str(source)), trust_remote_code)
    return _tokenizer(words_at(place), trust_remote_code)


def _tokenizer(place: Path | str, trust: bool) -> Any:
    try:
        return transformers.AutoTokenizer.from_pretrained(place, trust_remote_code=trust)
    except Exception as error:  # the tokenizers library raises plain Exceptions
        raise Refused(f"{place}: no tokenizer can be read here ({first_line(error)})") from None


def _fitting(subject: Subject) -> Subject:
    """Refuse a tokenizer whose ids go past the embedding table: today's libraries fail on it in the
    middle of a run.
    """
    top = max(subject.tokenizer.get_vocab().values(), default=-1)
    if top >= subject.vocab:
        raise Refused(
            f"{subject.source}: the tokenizer has ids up to {top} but the model only "
            f"{subject.vocab} rows; "
            "take the tokenizer it was trained with"
        )
    return subject


def _from_hub(name: str, dtype: str, where: torch.device, trust: bool) -> Subject:
    place = hub_place(name)
    try:
        _check_no_adapter(name, place)
        model = _read(place, name, dtype_of(dtype, where), trust)
        tokenizer = _tokenizer(place, trust)
    except OSError as error:
        raise Refused(
            f"{name}: not to be had from the hub ({first_line(error)}); pass a folder, or set "
            f"HF_TOKEN if it is gated"
        ) from None
    # an adapter made on it names it so, wherever it was read from
    model.name_or_path = model.config.name_or_path = name
    return _ready(Subject(model.to(where).eval(), tokenizer, name, None, digest_tensors(model)))


def hub_place(name: str) -> str:
    """Where transformers finds a hub model: under its name, or in the local cache if the hub cannot
    be reached (which is tried once).

    Refused: what is no name of a hub model but a path (it begins with . / or ~, has another number
        of / than one, or lies in a folder that is here), for which no hub is asked; a model that is
        neither on the hub nor in the cache.
    """
    owner = Path(name).parent
    near = _meant(name)
    if name.startswith((".", "/", "~")) or name.count("/") != 1 or owner.is_dir():
        there = (
            f"{owner} is a folder here that has no {Path(name).name}"
            if owner.is_dir() and owner != Path()
            else ""
        )
        made = "; expunge train --model tiny makes one" if name == "tiny" else ""
        raise Refused(
            f"no model folder {name}; "
            f"{near or there or 'pass a folder, or owner/name of a hub model'}{made}"
        )
    try:
        HfApi().model_info(name, timeout=HUB_SECONDS)
    except RepositoryNotFoundError:
        why = "the hub has no such model, or only for those who may read it"
        raise Refused(
            f"{name}: no such folder, and {why}; {near or 'check the name, or set HF_TOKEN'}"
        ) from None
    # what it says when the files are asked for is clearer
    except (HfHubHTTPError, HFValidationError):
        return name
    except Exception:  # each version of the library has its own for a hub that does not answer
        config = try_to_load_from_cache(name, "config.json")
        if isinstance(config, str):
            return str(Path(config).parent)
        offline = "offline: " if os.environ.get("HF_HUB_OFFLINE") else "the hub cannot be reached: "
        raise Refused(
            f"{name}: no such folder, and {offline}not in the local cache; "
            f"{near or 'pass a folder'}"
        ) from None
    return name


def _meant(name: str) -> str:
    """``did you mean runs/npo?``: the folder of a model near a name that is none, or the tiny
    model; '' if nothing is near.
    """
    asked = Path(name)
    beside = sorted(p.name for p in asked.parent.glob("*") if _holds_model(p))
    near = nearest(asked.name, beside)
    if near:
        return f"did you mean {asked.parent / near}?"
    if "/" not in name and nearest(name, ["tiny"]) and name != "tiny":
        return "did you mean tiny? expunge train --model tiny makes one"
    below = sorted(str(p) for p in Path().glob(f"*/{escape(asked.name)}") if _holds_model(p))
    near = below[0] if below and "/" not in name else nearest(name, below)
    if near:
        return f"did you mean {near}?"
    return f"{asked.parent} has {listed(beside)}" if beside and "/" in name else ""


def _holds_model(folder: Path) -> bool:
    """Whether a folder is that of a run or of a model."""
    return any(
        (folder / file).is_file() for file in ("run.yaml", "config.json", "adapter_config.json")
    )


def _check_no_adapter(name: str, place: str) -> None:
    """Refuse the hub id of an adapter: transformers would read its base and forget the adapter."""
    from peft import PeftConfig

    try:
        PeftConfig.from_pretrained(place)
    except (OSError, ValueError, KeyError, TypeError):
        return
    raise Refused(f"{name} is an adapter; download its folder and pass that")
