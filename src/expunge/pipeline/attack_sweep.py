"""An attack at growing strength on one model: what the adversary holds, what he does, and what is
measured of it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from expunge import registry
from expunge.core.attack import Attack
from expunge.core.card import Call
from expunge.core.data import Case, Examples
from expunge.core.errors import Refused
from expunge.core.files import write_json
from expunge.core.sameness import plain
from expunge.core.stages import Descent
from expunge.models.causal_lm.model import Subject
from expunge.models.families.source import ModelSource
from expunge.pipeline.attack_questions import Questions
from expunge.pipeline.settings import ResolvedSettings
from expunge.pipeline.training_inputs import MAX_LENGTH, TrainingInputs
from expunge.pipeline.unlearn import unlearn
from expunge.training.callbacks import NO_READINGS, Readings
from expunge.training.sampler import Training, taken
from expunge.training.stages import check_trains, steps_of

AS_IS = "as is"


# ------------------------------------------------------------------ what is done


@dataclass(frozen=True)
class Sweep:
    """An attack by name at every strength asked for.

    Attributes:
        called: The attack with the arguments that are the same at every strength.
        argument: The argument that is swept.
        attacks: One for each strength.
        x: Where each stands on the axis: numbers, or words.
        axis: What x counts.
        said: Each strength in a sentence.
    """

    called: Call
    argument: str
    attacks: tuple[Attack, ...]
    x: tuple[float | str, ...]
    axis: str
    said: tuple[str, ...]

    @property
    def start(self) -> float | str:
        """Where the model as it is stands on the axis."""
        return AS_IS if any(isinstance(at, str) for at in self.x) else 0


def sweep_of(called: Call, benchmark: str = "") -> Sweep:
    """The attacks of a call, one for each value of the argument that was given several.

    Args:
        called: The attack by name; an argument may be a list of values, or a text with commas.
        benchmark: Its settings on the attack's card stand below the arguments of the call.

    Returns:
        The sweep; of the card's own strengths if no argument has several values.

    Raises:
        Refused: An unknown attack or argument, a value out of range, two arguments with several
            values.
    """
    member = registry.member("attacks", called.name)
    strength, usual = member.card["strength"]
    given = {**member.card.get("settings", {}).get(benchmark, {}), **called.args}
    several = {name: values for name, value in given.items() if len(values := _values(value)) > 1}
    if len(several) > 1:
        raise Refused(
            f"{called.name}: one argument has several values at a time, not {' and '.join(several)}"
        )
    argument = next(iter(several), strength)
    values = several.get(argument) or _values(given.get(argument, usual))
    fixed = {name: value for name, value in given.items() if name != argument}
    found: dict[str, tuple[Any, Attack]] = {}
    for value in values:
        args = registry.checked("attacks", called.name, {**fixed, argument: value})
        attack = registry.resolve("attacks", called.name, args)
        found.setdefault(str(plain(attack)), (args[argument], attack))
    pairs = list(found.values())
    if all(not isinstance(attack.at, str) for _, attack in pairs):
        pairs.sort(key=lambda pair: pair[1].at)
    return _named(
        Call(member.name, registry.checked("attacks", called.name, fixed)), argument, pairs
    )


def _named(called: Call, argument: str, pairs: Sequence[tuple[Any, Attack]]) -> Sweep:
    """The sweep with its axis: the attacks' own where they differ in it, else the argument that
    does.
    """
    attacks = tuple(attack for _, attack in pairs)
    own = tuple(attack.at for attack in attacks)
    if len(set(own)) == len(own):
        return Sweep(
            called, argument, attacks, own, attacks[0].axis, tuple(a.said for a in attacks)
        )
    words = argument.replace("_", " ")
    if all(isinstance(value, (int, float)) for value, _ in pairs):
        pairs = sorted(pairs, key=lambda pair: pair[0])
    x = tuple(value for value, _ in pairs)
    said = tuple(f"{attack.said} with {words} {value}" for value, attack in pairs)
    return Sweep(called, argument, tuple(attack for _, attack in pairs), x, words, said)


def _values(given: Any) -> tuple[Any, ...]:
    """The values of an argument as it was given."""
    if isinstance(given, str):
        return tuple(part for part in given.split(",") if part)
    return tuple(given) if isinstance(given, (list, tuple)) else (given,)


def held_by(attack: Attack, rows: Mapping[str, Examples], seed: int) -> Examples:
    """The training rows that the adversary holds.

    Args:
        attack: Its ``holds`` says how many of which.
        rows: Rows by stream.
        seed: Decides which: the same for every model.

    Returns:
        The rows, none if he needs none.

    Raises:
        Refused: There are no such rows.
    """
    if attack.holds is None:
        return ()
    stream = attack.holds.stream
    if not rows.get(stream):
        raise Refused(
            f"attack {attack.name} trains on {stream} rows and there are none; give them with "
            f"--{stream}"
        )
    return tuple(taken(rows[stream], attack.holds.share, seed, attack.holds.rows))


def unheld(
    attack: Attack, case: Case, rows: Mapping[str, Examples], seed: int
) -> dict[str, Examples]:
    """The rows to ask: of the forget rows only those of groups that the adversary does not hold.

    Args:
        attack: The attack.
        case: Its evaluation rows are asked.
        rows: Training rows by stream.
        seed: As for ``held_by``.

    Returns:
        Evaluation rows by role. The forget role is empty where he holds every group.
    """
    known = frozenset(
        e.group
        for e in held_by(attack, rows, seed)
        if attack.holds and attack.holds.stream == "forget"
    )
    asked = {role: some for role, some in case.evaluate.items() if some}
    if known and "forget" in asked:
        asked["forget"] = tuple(e for e in asked["forget"] if e.group not in known)
    return asked


def inputs_of(
    attack: Attack,
    rows: Mapping[str, Examples],
    seed: int,
    max_length: int = MAX_LENGTH,
    longest: int = 0,
) -> TrainingInputs:
    """What an attack on the weights trains on.

    Args:
        attack: An attack with stages.
        rows: Training rows by stream, of which the adversary holds some.
        seed: Decides which, see ``held_by``.
        max_length: Tokens of a row; texts that are longer are cut into pieces.
        longest: Tokens that a row with an answer may have if that is more.

    Returns:
        The rows that he holds, as the inputs of ``unlearn``.

    Raises:
        Refused: There are no such rows.
    """
    held = {attack.holds.stream: held_by(attack, rows, seed)} if attack.holds else {}
    return TrainingInputs(
        attack.stages,
        Case(held, {}),
        name=f"attack {attack.name}",
        always=(),
        max_length=max_length,
        longest=longest,
    )


def attacked(
    source: ModelSource,
    attack: Attack,
    inputs: TrainingInputs,
    seed: int,
    folder: Path | None = None,
    *,
    save_every: int = 0,
    readings: Readings = NO_READINGS,
) -> Subject:
    """The model after an attack on its weights.

    Args:
        source: The model; one that is lent stays its owner's.
        attack: An attack with stages.
        inputs: What the adversary trains on, see ``inputs_of``.
        seed: Of his training.
        folder: Keeps checkpoints; a training that was killed goes on there. None keeps nothing.
        save_every: Steps between checkpoints; 0: none.
        readings: Where his training is read on its way.

    Returns:
        A model of its own.
    """
    settings = ResolvedSettings(Training(seed=seed, save_every=save_every))
    after = unlearn(source, attack.stages, inputs, settings, folder, readings=readings)
    return digested(after)


def digested(model: Subject) -> Subject:
    """The model with the digest of its weights as they are."""
    return replace(model, digest=model.fingerprint())


def one_training(attacks: Sequence[Attack]) -> bool:
    """Whether all attacks are one training, cut off at different steps: the model on the way of the
    longest has the very weights of one that ends there.

    So it is if they differ in nothing but the number of steps, and nothing of a step depends on how
    many there will be: the learning rate is constant, no controller and no mask looks ahead.
    """
    alike = set()
    for attack in attacks:
        stage = attack.stages[0] if len(attack.stages) == 1 else None
        if not isinstance(stage, Descent) or stage.controller or stage.locate or stage.adapter:
            return False
        settings = dict(stage.training)
        if settings.get("schedule") != "constant" or 0 < settings.get("warmup", 0.0) < 1:
            return False
        length = {"steps": None, "epochs": 0}
        stage = replace(stage, training={**settings, **length})
        alike.add(str(plain((stage, attack.holds))))
    return len(attacks) > 1 and len(alike) == 1


# ------------------------------------------------------------------ the sweep


@dataclass(frozen=True)
class Sweeper:
    """A sweep and what is asked, the same for every model.

    Attributes:
        sweep: The attack at every strength.
        questions: What is measured.
        rows: What the adversary may hold: training rows by stream.
        place: A folder for measured points and checkpoints, both kept until all is done.
        seed: Decides which rows he holds, and the order of his training.
        save_every: Steps between checkpoints of his training; 0: none.
        longest: Tokens that a row with an answer may have, if that is more than is asked of.
    """

    sweep: Sweep
    questions: Questions
    rows: Mapping[str, Examples]
    place: Path
    seed: int = 0
    save_every: int = 0
    longest: int = 0

    def points(
        self, name: str, source: ModelSource, tick: Callable[[int], None]
    ) -> list[dict[str, Any]]:
        """The measurements of one model as it is and at every strength, as they stand in JSON.

        Strengths that are one training are read on its way; else the model is attacked anew for
        each.

        Args:
            name: Of the model, for what is kept of it.
            source: The model.
            tick: Hears of each point.

        Returns:
            One mapping of key to measurement for each point. What an earlier attempt has measured
            is not measured again.

        Raises:
            Refused: What was measured before is of another model.
        """
        if any(attack.stages for attack in self.sweep.attacks):
            check_trains(source())  # before anything is measured
        model = source() if source().digest else digested(source())
        digest = model.digest
        found = [self._kept(name, 0, digest) or self._keep(name, 0, digest, model)]
        tick(1)
        del model  # the next one may be loaded in its place
        if one_training(self.sweep.attacks):
            self._read_along(name, source, digest)
        for i in range(1, len(self.sweep.attacks) + 1):
            point = self._kept(name, i, digest)
            if point is None:
                point = self._keep(name, i, digest, self._after(name, i, source))
            found.append(point)
            tick(1)
        return found

    def _inputs(self, i: int) -> TrainingInputs:
        """What the adversary trains on at the i-th strength."""
        return inputs_of(
            self.sweep.attacks[i - 1],
            self.rows,
            self.seed,
            self.questions.max_length,
            self.longest,
        )

    def _after(
        self, name: str, i: int, source: ModelSource, readings: Readings = NO_READINGS
    ) -> Subject:
        """The model that is asked: attacked, or as it is where the attack only asks otherwise."""
        attack = self.sweep.attacks[i - 1]
        if not attack.stages:
            return source()
        return attacked(
            source,
            attack,
            self._inputs(i),
            self.seed,
            self._stages(name, i),
            save_every=self.save_every,
            readings=readings,
        )

    def _read_along(self, name: str, source: ModelSource, digest: str) -> None:
        """Measure the strengths that are not measured yet on the way of one training."""
        settings = Training(seed=self.seed)
        ends: dict[int, int] = {}
        for i, attack in enumerate(self.sweep.attacks, 1):
            if self._kept(name, i, digest) is None:
                rows = self._inputs(i).rows(source())
                ends.setdefault(steps_of(attack.stages, rows, settings), i)
        if not ends:
            return
        last = ends[max(ends)]
        on_the_way = frozenset(ends) - {max(ends)}

        def read(step: int, model: Subject) -> None:
            self._keep(name, ends[step], digest, digested(model))

        after = self._after(name, last, source, Readings(on_the_way, read))
        self._keep(name, last, digest, after)

    def _stages(self, name: str, i: int) -> Path:
        return self.place / "stages" / f"{_plain(name)}-{i}"

    def _file(self, name: str, i: int) -> Path:
        return self.place / "points" / f"{_plain(name)}-{i}.json"

    def _kept(self, name: str, i: int, digest: str) -> dict[str, Any] | None:
        """A point that was measured before; None if there is none."""
        file = self._file(name, i)
        if not file.is_file():
            return None
        kept = json.loads(file.read_text(encoding="utf-8"))
        if kept["digest"] != digest:
            raise Refused(
                f"{self.place}: {name} changed since this run was begun; remove the folder or take "
                f"another --out"
            )
        found: dict[str, Any] = kept["measurements"]
        return found

    def _keep(self, name: str, i: int, digest: str, after: Subject) -> dict[str, Any]:
        """Measure a point and keep it; the checkpoints that led to it go."""
        attack = self.sweep.attacks[i - 1] if i else None
        found = {key: m.as_json() for key, m in self.questions.under(attack, after).items()}
        write_json(self._file(name, i), {"digest": digest, "measurements": found})
        shutil.rmtree(self._stages(name, i), ignore_errors=True)
        return found


def _plain(name: str) -> str:
    """The name of a model as that of a file: gold/1 -> gold-1."""
    return name.replace("/", "-")
