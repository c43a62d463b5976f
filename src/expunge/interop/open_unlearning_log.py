"""Reader of the peer's evaluation logs: open-unlearning's TOFU_EVAL.json and MUSE_EVAL.json, and
those of the first TOFU code (and ULD's).

What such a log holds per row (mean losses, ROUGE, memorization and membership scores) becomes
Records, so that our metrics judge it as they judge a model. Its own aggregates are not read.
Membership scores are turned round: ours are higher for likely members.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, cast

from expunge.core.errors import Refused
from expunge.core.results import Record, Records

LARGEST = 1 << 30  # bytes of a log: the largest known one, of all TOFU rows with texts, has 20 MB
AUTHOR = 20  # TOFU asks twenty questions about each author, in order
AUTHORED = ("forget", "retain", "holdout")
ROLES = {"forget": "forget", "retain": "retain", "ra": "real_authors", "wf": "world_facts"}
LOSSES = {"Q_A_Prob": "answer", "Q_A_PARA_Prob": "paraphrase", "Q_A_PERT_Prob": "perturbed"}
TEXTS = {"Q_A_ROUGE": "answer", "Q_A_PARA_ROUGE": "paraphrase"}
MUSE = {f"{role}_ROUGE": role for role in ("forget_knowmem", "retain_knowmem", "forget_verbmem")}
# MUSE's hits are those of the passages of verbatim memorization; its membership scores are of other
# texts
VERBATIM = "forget_verbmem"
ROUGE = {
    "rougeL_f1": "rouge_l_f1",
    "rougeL_recall": "rouge_l_recall",
    "rouge1_recall": "rouge_1_recall",
}
HITS = {"exact_memorization": "exact_memorization", "extraction_strength": "extraction_strength"}
MIA = ("mia_loss", "mia_zlib", "mia_min_k", "mia_min_k_plus_plus", "mia_reference", "mia_gradnorm")
LEGACY = {
    "eval_log.json": "retain",
    "eval_log_forget.json": "forget",
    "eval_real_author_wo_options.json": "real_authors",
    "eval_real_world_wo_options.json": "world_facts",
}

DIGITS = 12  # of a row's number

# (role, variant) -> row number -> what is known of the row
Found = dict[tuple[str, str], dict[int, dict[str, Any]]]


def read_log(path: str | Path, subject: str = "unlearned") -> Records:
    """The rows of a log (.json or .json.gz) as Records; Refused, naming file and metric, if it is
    not such a log.

    Records hold ``mean_loss`` (nats per token, eos included) and ``given`` scores, and texts where
    the log kept them. The id is the row's number in its file; the group is the author (20
    consecutive rows) on TOFU's own rows, the row itself elsewhere.
    """
    place = Path(path)
    log = _load(place)
    found = _Rows(place)
    if any(name in log for name in LEGACY):
        _legacy(log, found)
    else:
        _open_unlearning(log, found)
    if not found.rows:
        raise Refused(
            f"{place}: holds no metric of an open-unlearning or TOFU evaluation log; give "
            f"TOFU_EVAL.json or MUSE_EVAL.json"
        )
    tofu = not _is_muse(log) and any("Q_A" in name or name in LEGACY for name in log)
    return Records(_records(found.rows, subject, tofu=tofu))


def _is_muse(log: Mapping[str, Any]) -> bool:
    return any(name in log for name in MUSE)


def _load(place: Path) -> Mapping[str, Any]:
    try:
        log = json.loads(_bytes(place))
    except FileNotFoundError:
        raise Refused(f"{place}: no such file") from None
    except OSError as e:
        raise Refused(
            f"{place}: cannot be read ({e.strerror or 'not a whole gzip file'})"
        ) from None
    except (EOFError, zlib.error):
        raise Refused(f"{place}: the gzip file is cut off or damaged") from None
    except json.JSONDecodeError as e:
        raise Refused(f"{place}:{e.lineno}: not JSON ({e.msg}); is the log complete?") from None
    except UnicodeDecodeError:
        raise Refused(f"{place}: not UTF-8") from None
    except RecursionError:
        raise Refused(f"{place}: nested too deep; this is no log") from None
    except ValueError as e:
        if isinstance(e, Refused):
            raise
        raise Refused(f"{place}: holds a number that is far too long; this is no log") from None
    if not isinstance(log, dict):
        raise Refused(f"{place}: a log is a JSON object of metrics, this is a {type(log).__name__}")
    return log


def _bytes(place: Path) -> bytes:
    """The bytes of a log, unpacked; a packed file that grows without end is refused before it fills
    the memory.
    """
    if not place.is_file() and place.exists():
        raise Refused(f"{place}: is no plain file; give TOFU_EVAL.json or MUSE_EVAL.json")
    with place.open("rb") as f:
        packed = f.read(2) == b"\x1f\x8b"
        f.seek(0)
        source: IO[bytes] = cast("IO[bytes]", gzip.GzipFile(fileobj=f)) if packed else f
        raw = source.read(LARGEST + 1)
    if len(raw) > LARGEST:
        raise Refused(
            f"{place}: more than {LARGEST >> 20} MB{' when unpacked' if packed else ''}; this is "
            f"no evaluation log"
        )
    return raw


class _Rows:
    """Collects what is known of each row; every complaint names file and metric, never a text."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.rows = Found()

    def wrong(self, metric: str, what: str) -> Refused:
        return Refused(f"{self.place}: {metric}: {what}")

    def number(self, metric: str, row: Any, x: Any) -> float:
        if isinstance(x, bool) or not isinstance(x, (int, float)):
            raise self.wrong(metric, f"row {row}: expected a number, found {type(x).__name__}")
        try:
            return float(x)
        except OverflowError:
            raise self.wrong(metric, f"row {row}: the number is too large") from None

    def put(self, role: str, variant: str, row: int, name: str, value: Any) -> None:
        self.rows.setdefault((role, variant), {}).setdefault(row, {})[name] = value

    def losses(self, metric: str, role: str, variant: str, row: int, x: Any) -> None:
        """One loss, or a list of them (one per wrong answer)."""
        if isinstance(x, list):
            for j, one in enumerate(x):
                self.put(role, f"{variant}/{j}", row, "mean_loss", self.number(metric, row, one))
        else:
            name = f"{variant}/0" if variant == "perturbed" else variant
            self.put(role, name, row, "mean_loss", self.number(metric, row, x))

    def indexed(self, metric: str, rows: Any, field: str | None) -> Iterator[tuple[int, Any, Any]]:
        """(row number, its entry, the entry's ``field``) of {"0": {field: x}}, {"0": x} or [x,
        ...]; rows without a value are left out.
        """
        pairs: Iterable[tuple[Any, Any]]
        if isinstance(rows, dict):
            pairs = rows.items()
        elif isinstance(rows, list):
            pairs = enumerate(rows)
        else:
            raise self.wrong(metric, f"expected values by row, found {type(rows).__name__}")
        for key, entry in pairs:
            if not (str(key).isdecimal() and len(str(key)) <= DIGITS):
                raise self.wrong(metric, "a key of the values by row is not a row number")
            value = entry
            if field is not None and entry is not None:
                if not isinstance(entry, dict) or field not in entry:
                    raise self.wrong(metric, f"row {key}: expected an object with {field}")
                value = entry[field]
            if value is not None:
                yield int(key), entry, value

    def by_index(self, metric: str, block: Any, field: str) -> Iterator[tuple[int, Any, Any]]:
        if not isinstance(block, dict) or "value_by_index" not in block:
            raise self.wrong(
                metric, "holds no value_by_index; only logs with per-row values can be judged"
            )
        return self.indexed(metric, block["value_by_index"], field)

    def entries(
        self, log: Mapping[str, Any], metric: str, field: str
    ) -> Iterator[tuple[int, Any, Any]]:
        """The values of a metric by row; none if the log does not hold the metric."""
        if metric in log:
            yield from self.by_index(metric, log[metric], field)


def _open_unlearning(log: Mapping[str, Any], found: _Rows) -> None:
    for prefix, role in ROLES.items():
        for ending, variant in LOSSES.items():
            metric = f"{prefix}_{ending}"
            for i, _, x in found.entries(log, metric, "avg_loss"):
                found.losses(metric, role, variant, i, x)
        for ending, variant in TEXTS.items():
            metric = f"{prefix}_{ending}"
            for i, entry, x in found.entries(log, metric, "rougeL_recall"):
                found.put(role, variant, i, "given/rouge_l_recall", found.number(metric, i, x))
                _texts(found, role, variant, i, entry)
    for metric, role in MUSE.items():
        _muse(log, metric, role, found)
    hits = VERBATIM if _is_muse(log) else "forget"
    for metric, name in HITS.items():
        for i, _, x in found.entries(log, metric, "score"):
            found.put(hits, "answer", i, f"given/{name}", found.number(metric, i, x))
    for metric in MIA:
        _membership(log, metric, found)


def _muse(log: Mapping[str, Any], metric: str, role: str, found: _Rows) -> None:
    """The ROUGE values and texts of a MUSE metric."""
    for i, entry, _ in found.entries(log, metric, "rougeL_f1"):
        for theirs, name in ROUGE.items():
            if entry.get(theirs) is not None:
                value = found.number(metric, i, entry[theirs])
                found.put(role, "answer", i, f"given/{name}", value)
        _texts(found, role, "answer", i, entry)


def _texts(found: _Rows, role: str, variant: str, row: int, entry: Mapping[str, Any]) -> None:
    """The right answer and the written one, where the log kept them."""
    for ours, theirs in (("answer", "ground_truth"), ("generated", "generation")):
        if isinstance(entry.get(theirs), str):
            found.put(role, variant, row, ours, entry[theirs])


def _membership(log: Mapping[str, Any], metric: str, found: _Rows) -> None:
    """Scores of a membership attack, turned round so that members score higher; the loss itself is
    kept, too.
    """
    for role in ("forget", "holdout") if metric in log else ():
        if not isinstance(log[metric], dict) or role not in log[metric]:
            raise found.wrong(metric, f"holds no scores of {role}")
        for i, _, x in found.by_index(metric, log[metric][role], "score"):
            score = found.number(metric, i, x)
            found.put(role, "answer", i, f"given/{metric}", -score)
            if metric == "mia_loss" and role == "holdout":
                found.put(role, "answer", i, "mean_loss", score)


def _legacy(log: Mapping[str, Any], found: _Rows) -> None:
    """The first TOFU code: a block of maps (ULD: of lists) for each role.

    Its own truth ratio, the inverse of ours, is not read.
    """
    fields = {
        "avg_gt_loss": "answer",
        "avg_paraphrased_loss": "paraphrase",
        "average_perturb_loss": "perturbed",
    }
    for name, role in LEGACY.items():
        block = log.get(name, {})
        if not isinstance(block, dict):
            raise found.wrong(name, f"expected an object, found {type(block).__name__}")
        for field, variant in fields.items():
            for i, _, x in found.indexed(f"{name}: {field}", block.get(field, {}), None):
                found.losses(f"{name}: {field}", role, variant, i, x)
        for field, ours in (
            ("rougeL_recall", "given/rouge_l_recall"),
            ("num_token_gt", "n_tokens"),
        ):
            for i, _, x in found.indexed(f"{name}: {field}", block.get(field, {}), None):
                number = found.number(f"{name}: {field}", i, x)
                found.put(role, "answer", i, ours, int(number) if ours == "n_tokens" else number)


def _records(rows: Found, subject: str, *, tofu: bool) -> Iterator[Record]:
    """Roles and variants in the order in which they were found, rows by number."""
    for (role, variant), by_row in rows.items():
        for i, known in sorted(by_row.items()):
            if tofu and role in AUTHORED:
                group = str(i // AUTHOR)
            else:
                group = str(i)
            plain = {name: x for name, x in known.items() if "/" not in name}
            given = {name.partition("/")[2]: x for name, x in known.items() if "/" in name}
            yield Record(subject, role, str(i), group, variant, **plain, given=given)
