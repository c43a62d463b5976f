"""What other models say of answer and output: a sentence encoder (similarity), a judge of inference
(entailment), one of gibberish.

They are local folders, read with plain transformers and mean pooling; nothing is downloaded. Their
values join the records as given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from expunge.core.errors import Refused, listed
from expunge.core.results import Records
from expunge.models.checkpoint import check_files, first_line
from expunge.models.modules import evaluating
from expunge.models.quiet import quiet
from expunge.scoring.text import entities_of

BATCH = 32
SAME = 0.8  # cosine from which two names are one


def with_meaning(
    records: Records,
    encoder: str | Path = "",
    nli: str | Path = "",
    gibberish: str | Path = "",
    same: float = SAME,
) -> Records:
    """The records with given values: ``semantic_similarity``, ``entity_share`` and ``entity_pairs``
    by ``encoder``; ``entailment`` (a probability, output to answer), ``contradicts`` (output to
    answer) and ``contradicted_by_answer`` (answer to output), 1 where contradiction is the
    likeliest label, by ``nli``; ``gibberish`` (P(clean)) by ``gibberish``. Only rows with both
    texts.
    """
    rows = [r for r in records if r.answer is not None and r.generated is not None]
    found: list[dict[str, float]] = [{} for _ in rows]
    if encoder:
        vectors = Encoder(encoder)
        for known, r, x in zip(
            found,
            rows,
            vectors.similar([(r.answer or "", r.generated or "") for r in rows]),
            strict=True,
        ):
            known["semantic_similarity"] = x
            names = entities_of(r.answer or "", r.question or "")
            if names:
                found_in = entities_of(r.generated or "", r.question or "")
                known["entity_share"], known["entity_pairs"] = vectors.shares(names, found_in, same)
    if nli:
        judge = Judge(nli)
        forth = judge.of([(r.generated or "", r.answer or "") for r in rows])
        back = judge.of([(r.answer or "", r.generated or "") for r in rows])
        for known, r, a, b in zip(found, rows, forth, back, strict=True):
            # nothing said entails and contradicts nothing
            said = float(bool((r.generated or "").strip()))
            known |= {
                "entailment": a[0] * said,
                "contradicts": a[3] * said,
                "contradicted_by_answer": b[3] * said,
            }
    if gibberish:
        written = list(
            dict.fromkeys(r.generated or "" for r in rows if (r.generated or "").strip())
        )
        clean = dict(zip(written, of_gibberish(gibberish).of(written), strict=True))
        for known, r in zip(found, rows, strict=True):
            known["gibberish"] = clean.get(r.generated or "", (0.0,))[0]
    extra = {id(r): known for r, known in zip(rows, found, strict=True)}
    return Records(
        replace(r, given={**r.given, **extra[id(r)]}) if extra.get(id(r)) else r for r in records
    )


def check_folder(folder: str | Path, option: str) -> Path:
    """Refused unless the folder holds a model."""
    place = Path(folder)
    if not (place / "config.json").is_file():
        raise Refused(
            f"{option} {folder}: no model here; give the folder of one (config.json, "
            f"*.safetensors, its tokenizer)"
        )
    check_files(place)
    return place


def _loaded(folder: str | Path, kind: str, option: str) -> tuple[Any, Any]:
    import transformers

    place = check_folder(folder, option)
    quiet()
    try:
        # False, not left out: transformers would ask on standard input whether to run the folder's
        # code
        model, report = getattr(transformers, kind).from_pretrained(
            place,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            dtype=torch.float32,
            output_loading_info=True,
        )
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            place, local_files_only=True, trust_remote_code=False
        )
    # a settings file of the wrong type can break any line of the library
    except Exception as error:
        if "trust_remote_code" in str(error):
            raise Refused(
                f"{option} {folder}: wants to run code of its own, which is not allowed; "
                "take a model of an architecture that transformers has"
            ) from None
        raise Refused(
            f"{option} {folder}: no model can be read here ({first_line(error)})"
        ) from None
    # a head on top of the states is not read for an encoder; whatever else is missing would be made
    # up
    missing = [
        name
        for name in report["missing_keys"]
        if kind != "AutoModel" or ".pooler." not in f".{name}"
    ]
    lost = sorted([*missing, *(str(key[0]) for key in report["mismatched_keys"])])
    if lost:
        raise Refused(
            f"{option} {folder}: weights are missing or misshapen and would be random: "
            f"{listed(lost, 6)}; copy the folder again"
        )
    return model.eval(), tokenizer


def _batches(items: Sequence[Any], size: Any) -> list[list[int]]:
    order = sorted(range(len(items)), key=lambda i: size(items[i]))
    return [order[i : i + BATCH] for i in range(0, len(order), BATCH)]


class Encoder:
    """A sentence encoder: the mean of its last hidden states over real tokens, at length 1."""

    def __init__(self, folder: str | Path) -> None:
        self.model, self.tokenizer = _loaded(folder, "AutoModel", "--encoder")
        self.known: dict[str, np.ndarray] = {}

    def vectors(self, texts: Sequence[str]) -> np.ndarray:
        """[n, D]; a text of nothing is the zero vector."""
        new = [t for t in dict.fromkeys(texts) if t not in self.known and t.strip()]
        with evaluating(self.model):
            for batch in _batches(new, len):
                words = self.tokenizer(
                    [new[i] for i in batch],
                    padding=True,
                    truncation=True,
                    max_length=self._room,
                    return_tensors="pt",
                )
                states = self.model(**words).last_hidden_state.float()
                mask = words["attention_mask"][..., None].float()
                pooled = (states * mask).sum(1) / mask.sum(1).clamp(min=1)
                for i, v in zip(
                    batch, torch.nn.functional.normalize(pooled, dim=-1).numpy(), strict=True
                ):
                    self.known[new[i]] = v
        width = self.model.config.hidden_size
        return (
            np.stack([self.known.get(t, np.zeros(width, np.float32)) for t in texts])
            if texts
            else np.zeros((0, width), np.float32)
        )

    @property
    def _room(self) -> int:
        return min(512, getattr(self.model.config, "max_position_embeddings", 512))

    def similar(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """The cosine of each pair."""
        a, b = (self.vectors([p[i] for p in pairs]) for i in (0, 1))
        return [float(x) for x in (a.astype(np.float64) * b).sum(-1)]

    def shares(self, names: Sequence[str], said: Sequence[str], same: float) -> tuple[float, float]:
        """Of ``names`` those that have a counterpart of cosine at least ``same`` among what was
        said, over their number, 0..1; and the pairs of such counterparts over their number, which
        may pass 1.
        """
        if not said:
            return 0.0, 0.0
        alike = self.vectors(list(names)) @ self.vectors(list(said)).T >= same
        return float(alike.any(1).mean()), float(alike.sum() / len(names))


class Judge:
    """A classifier of texts, or of pairs of texts, and those of its labels that have one of
    ``words`` in their names.

    Of labels that are equally likely the first counts as the likeliest, as in arg-max.
    """

    def __init__(
        self,
        folder: str | Path,
        option: str = "--nli",
        words: Sequence[str] = ("entail", "contradict"),
    ) -> None:
        self.model, self.tokenizer = _loaded(folder, "AutoModelForSequenceClassification", option)
        labels = {str(v).casefold(): int(k) for k, v in self.model.config.id2label.items()}
        at = {word: next((i for name, i in labels.items() if word in name), None) for word in words}
        if None in at.values():
            raise Refused(
                f"{option} {folder}: its labels are {', '.join(labels)}; it needs "
                f"{' and '.join(words)} among them"
            )
        self.at = list(at.values())

    def of(self, asked: Sequence[str] | Sequence[tuple[str, str]]) -> list[tuple[float, ...]]:
        """Of each text or (premise, hypothesis): the probabilities of the labels in question, then
        for each whether it is the likeliest of all labels (1 or 0).
        """
        found: list[tuple[float, ...]] = [()] * len(asked)
        with evaluating(self.model):
            for batch in _batches(asked, lambda p: sum(map(len, p))):
                room = min(512, getattr(self.model.config, "max_position_embeddings", 512))
                words = self.tokenizer(
                    [asked[i] for i in batch],
                    padding=True,
                    truncation=True,
                    max_length=room,
                    return_tensors="pt",
                )
                p = self.model(**words).logits.float().softmax(-1)
                first = p.argmax(-1).tolist()
                for i, x, likeliest in zip(batch, p[:, self.at].tolist(), first, strict=True):
                    found[i] = (*x, *(float(at == likeliest) for at in self.at))
        return found


def of_gibberish(folder: str | Path) -> Judge:
    """The judge that says whether a text is clean."""
    return Judge(folder, "--gibberish", ("clean",))
