"""Rows of a data set on the Hugging Face hub, through ``datasets``:
``hub:owner/name[:config][@split]``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from expunge.core.errors import NotAtHand, Refused, listed
from expunge.data.files import Cells

NAME = re.compile(
    r"hub:(?P<repo>[\w.-]+/[\w.-]+)(?::(?P<config>[^@:]+))?(?:@(?P<split>[\w.\-\[\]:%+]+))?"
)


def hub_rows(source: str) -> list[Cells]:
    """Every row; ``where`` is ``source:number``, from 1.

    Without a split, the only one or ``train`` is taken.

    Gated sets are opened by the usual token (HF_TOKEN or ``hf auth login``). Refused in one line:
    NotAtHand if offline or missing or no such config or split, plainly if the rows are there and
    cannot be read. What the hub answered is not repeated, it may quote the request.
    """
    name = NAME.fullmatch(source)
    if name is None:
        raise Refused(
            f"{source!r} is not the name of a hub data set; write hub:owner/name, "
            f"hub:owner/name:config or hub:owner/name:config@split"
        )
    if {".", ".."} & set(name["repo"].split("/")) or name["repo"].startswith("."):
        raise Refused(
            f"{source}: a path and no name of a hub data set; pass a file or folder without hub:, "
            f"or write hub:owner/name"
        )
    if Path(name["repo"]).exists():  # datasets would read that folder instead of the hub
        raise Refused(
            f"{source}: {name['repo']} is also a folder here; pass {name['repo']} to read it, or "
            f"run from another folder"
        )
    found = _load(source, name["repo"], name["config"], name["split"])
    if isinstance(found, Mapping):
        if "train" not in found and len(found) != 1:
            raise Refused(
                f"{source}: which split? there are {listed(map(str, found))}; write {source}@SPLIT"
            )
        found = found["train" if "train" in found else next(iter(found))]
    return [Cells(f"{source}:{number}", row) for number, row in enumerate(found.to_list(), 1)]


def is_saved(folder: Path) -> bool:
    """Whether ``datasets`` saved a data set, or several splits of one, to this folder."""
    try:
        whole = (folder / "state.json").is_file() and (folder / "dataset_info.json").is_file()
        return whole or (folder / "dataset_dict.json").is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False


def saved_rows(folder: Path) -> list[Cells]:
    """The rows of a folder that ``Dataset.save_to_disk`` wrote; ``where`` is ``folder:number``,
    from 1.

    Refused: several splits (their folders are named), a folder that is damaged.
    """
    import datasets

    if (folder / "dataset_dict.json").is_file():
        splits = sorted(p.name for p in folder.iterdir() if is_saved(p))
        raise Refused(
            f"{folder}: a data set of several splits, saved by save_to_disk; pass one: "
            f"{listed(str(folder / s) for s in splits)}"
        )
    datasets.disable_progress_bars()
    try:
        found = datasets.load_from_disk(str(folder)).to_list()
    except Exception as error:  # a reader of several formats raises whatever each of them raises
        kind = type(error).__name__
        raise Refused(
            f"{folder}: saved by save_to_disk, but cannot be read ({kind}); save it again, or as "
            f"parquet or jsonl"
        ) from None
    return [Cells(f"{folder}:{number}", row) for number, row in enumerate(found, 1)]


def _load(source: str, repo: str, config: str | None, split: str | None) -> Any:
    import datasets

    datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()
    try:
        return datasets.load_dataset(repo, config, split=split)
    # builders raise whatever their readers raise; every one of them means: no rows
    except Exception as error:
        kind = type(error).__name__
        if _damaged(error):
            raise Refused(
                f"{source}: the rows are there and cannot be read ({kind}); remove them from the "
                f"cache and load them again"
            ) from None
        names = _configs(repo) if isinstance(error, ValueError) else []
        if config is not None and names and config not in names:
            near = get_close_matches(config, names, n=1)
            if near:
                hint = f"did you mean {near[0]}?"
            else:
                hint = f"there are {listed(names)}"
            raise NotAtHand(f"{source}: no config {config!r} in this data set; {hint}") from None
        if names:
            raise NotAtHand(
                f"{source}: no such split or config; configs are {listed(names)}; write "
                f"hub:owner/name:config@split"
            ) from None
        raise NotAtHand(
            f"{source}: not in the local cache, and the hub gave no rows ({kind}: offline, no such "
            f"data set, or gated); "
            "pass a path, or set HF_TOKEN if it is gated"
        ) from None


def _damaged(error: Exception) -> bool:
    """Whether the files were found and their reader failed; what says that nothing was found is a
    name, a split or a connection.
    """
    from datasets.exceptions import DatasetsError
    from datasets.table import CastError

    absent = isinstance(error, (ConnectionError, FileNotFoundError)) or type(error) is ValueError
    return isinstance(error, CastError) or (
        isinstance(error, (DatasetsError, UnicodeError, EOFError)) and not absent
    )


def _configs(repo: str) -> list[str]:
    import datasets

    try:
        return list(datasets.get_dataset_config_names(repo))
    except Exception:  # only helps to word an error that is raised anyway
        return []
