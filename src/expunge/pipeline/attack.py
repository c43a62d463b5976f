"""Attack a model with growing strength, and gold and the original in the same way: what it brings
back is read beside theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from expunge import registry
from expunge.core.attack_request import AttackRequest
from expunge.core.benchmark import Benchmark
from expunge.core.data import Case, Examples
from expunge.core.errors import Refused
from expunge.core.escape import say
from expunge.core.files import write_json
from expunge.core.progress import Tick, bar
from expunge.data.kinds import understood
from expunge.data.read import read
from expunge.evaluation.cache import salt_for, salt_of
from expunge.evaluation.evaluate import named, sources_in
from expunge.evaluation.gold_checks import distinct, is_gold
from expunge.evaluation.metric import Judge
from expunge.models.causal_lm.model import Subject
from expunge.models.families.find import check_sources_alike
from expunge.models.families.source import ModelSource
from expunge.models.guarded import Guarded
from expunge.pipeline.attack_questions import SAID, Questions, check_judges
from expunge.pipeline.attack_sweep import Sweep, Sweeper, held_by, sweep_of, unheld
from expunge.pipeline.evaluate import check_record, data_facts
from expunge.pipeline.guarded import bare, loaded, served
from expunge.pipeline.settings import absent_of, case_of, judges_of, longest_of, out_of
from expunge.report.parse import curve_of, read_curves
from expunge.report.recovery import Recovery
from expunge.runs.folder import open_run

# one forward over the answers; what is written costs a generation at every point
USUAL = ("probability",)
USUAL_ROLES = ("forget", "retain")


@dataclass(frozen=True)
class Plan:
    """What an attack will do and ask, before any model is loaded.

    Attributes:
        sweep: The attack at every strength.
        rows: Training rows by stream, of which the adversary may hold some.
        asked: Evaluation rows by role without those of groups that he holds.
        judges: The metrics.
        bench: The benchmark, if the rows are one's.
        seed: Decides which rows he holds.
    """

    sweep: Sweep
    rows: Mapping[str, Examples]
    asked: Mapping[str, Examples]
    judges: Sequence[Judge]
    bench: Benchmark | None = None
    seed: int = 0

    def sweeper(self, place: Path, request: AttackRequest) -> Sweeper:
        """The sweep, ready for any of the models."""
        return Sweeper(
            self.sweep,
            Questions(self.asked, self.judges, self.bench, request.max_length),
            self.rows,
            place,
            self.seed,
            request.save_every,
            longest_of(self.bench),
        )

    def held(self) -> dict[str, Any]:
        """Which rows the adversary holds, in numbers; {} if he needs none."""
        first = self.sweep.attacks[0]
        if first.holds is None:
            return {}
        rows = held_by(first, self.rows, self.seed)
        return {
            "held": {
                "stream": first.holds.stream,
                "groups": len({e.group for e in rows}),
                "rows": len(rows),
            }
        }


def plan_of(
    request: AttackRequest, bench: Benchmark | None, case: Case, world: Examples = ()
) -> Plan:
    """What a request asks for.

    Args:
        request: The request.
        bench: The benchmark, if the rows are one's.
        case: Its rows, or the user's.
        world: Rows of the user's own that the adversary may train on.

    Returns:
        The plan.

    Raises:
        Refused: Something of it is not there or cannot be.
    """
    sweep = sweep_of(request.attack, bench.name if bench else "")
    rows = {**case.train, **({"world": world} if world else {})}
    kinds = {attack.holds for attack in sweep.attacks}
    asked = unheld(sweep.attacks[0], case, rows, request.seed)
    if len(kinds) > 1:  # the adversary holds more at greater strength: what he never holds is asked
        for attack in sweep.attacks[1:]:
            fewer = unheld(attack, case, rows, request.seed)
            asked = {
                role: tuple(e for e in some if e in fewer[role]) for role, some in asked.items()
            }
    if not asked.get("forget"):
        why = (
            "the adversary holds every forget group, so nothing is left to ask: lower --share"
            if case.evaluate.get("forget")
            else ""
        )
        raise Refused(
            f"attack {sweep.called.name}: {why or 'there are no forget rows to ask; give --forget'}"
        )
    known = Case(case.train, asked)
    usual = USUAL if sweep.attacks[0].decode is None else (SAID,)
    judges = judges_of(bench, known, request.metrics or usual)
    if not request.metrics:
        judges = [judge for judge in judges if judge.role in USUAL_ROLES]
    check_judges(judges)
    read = {role for judge in judges for role in judge.roles}
    asked = {role: some for role, some in asked.items() if role in read}
    return Plan(sweep, rows, asked, judges, bench, request.seed)


def recovery(
    plan: Plan,
    sweeper: Sweeper,
    models: Mapping[str, Callable[[], ModelSource]],
    labels: Mapping[str, str],
    kind: str,
    tick: Tick,
) -> tuple[dict[str, Any], dict[str, str]]:
    """Carry a plan out on every model, one after the other.

    Args:
        plan: The plan.
        sweeper: Made of it.
        models: ``unlearned``, the attacked one, then gold, gold/1 ... and original, see
            ``evaluation.named``; each is opened when the one before it is out of memory.
        labels: What each is called, where it is not by its name.
        kind: What the attacked one is: unlearned, gold or original.
        tick: Hears of each point.

    Returns:
        curves.json, and the digest of each model's weights by name.

    Raises:
        Refused: A gold that is the attacked model or the original.
    """
    digests: dict[str, str] = {}
    curves: list[dict[str, Any]] = []
    for name, opened in models.items():
        source = opened()
        digest = source().digest
        same = distinct(name, digest, digests)
        digests[name] = digest
        if same:
            say(f"{name} has the very weights of {same}: the two are one model, and count once")
            continue
        points = sweeper.points(name, source, tick)
        what = kind if name == "unlearned" else "gold" if is_gold(name) else name
        curves.append(curve_json(plan.sweep, labels.get(name, name), what, points))
    return {"schema": 1, "curves": curves}, digests


def curve_json(
    sweep: Sweep, label: str, kind: str, points: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """The curve of one model, as curves.json holds it: one series per measurement."""
    head = {
        "attack": sweep.called.name,
        "of": label,
        "kind": kind,
        "arguments": dict(sweep.called.args),
        "argument": sweep.argument,
        "x": [sweep.start, *sweep.x],
        "xlabel": sweep.axis,
        "said": ["as it is", *sweep.said],
    }
    return head | {key: [point[key] for point in points] for key in points[0]}


def attack(request: AttackRequest) -> Path:
    """Attack a model as it is asked for; OUT/curves.json is the result.

    A run that was killed goes on at the point, or at the training step, where it was.

    Args:
        request: What ``expunge attack`` was given.

    Returns:
        The run's folder.

    Raises:
        Refused: The request or its data are wrong, or a gold is none.
    """
    if not request.attack.name:
        raise Refused("which attack? expunge attack NAME; `expunge list attacks` shows them")
    if not request.model:
        raise Refused("which model? give --model with a folder or owner/name")
    bench, case = case_of(request)
    plan = plan_of(request, bench, case, read(request.world, role="world") if request.world else ())
    others = named(sources_in(request.gold), request.original)
    same_tokens(request, [source for _, source in others])
    for source in sources_in(request.gold):
        check_record(source, case)  # what must be refused is, before anything is measured
    names = [("unlearned", request.model), *others]
    with open_run(
        out_of(request), verb=request.verb, request=request.as_json(), overwrite=request.overwrite
    ) as run:
        salt = salt_for(run.path / "private")
        if not request.quiet:
            say(understood(plan.asked))
        models = {name: partial(attacked, request, plan.sweep, source) for name, source in names}
        labels = {"unlearned": request.label or run.path.name}
        total = len(names) * (1 + len(plan.sweep.attacks))
        with bar(
            f"attack {plan.sweep.called.name}", total, quiet=request.quiet, unit="points"
        ) as tick:
            sweeper = plan.sweeper(run.path, request)
            found, digests = recovery(
                plan, sweeper, models, labels, request.kind or "unlearned", tick
            )
        write_json(run.path / "curves.json", found)
        sources = {name: {"source": source, "digest": digests[name]} for name, source in names}
        facts = {
            "model": sources.pop("unlearned"),
            **sources,
            "data": data_facts(plan.asked, salt),
            "seed": request.seed,
        }
        facts |= {"label": labels["unlearned"], "kind": "attacked", **absent_of(bench)}
        facts["attack"] = attack_facts(plan, labels["unlearned"])
        # the seal is keyed with the run's own secret, whatever made the ids
        salt_of(run.path / "private")
        run.finish(**facts)
    return run.path


def within_reach(model: Subject, sweep: Sweep) -> Subject:
    """The model that an adversary attacks: the one behind the guard, if he has the weights."""
    if sweep.attacks[0].stages and isinstance(model, Guarded):
        base: Subject = model.base
        return base
    return model


def attacked(request: AttackRequest, sweep: Sweep, source: str) -> ModelSource:
    """Where the model that is attacked comes from: who has the weights takes a guard away, who can
    only ask meets it.
    """
    if sweep.attacks[0].stages and bare(source) != source:
        say(f"{source}: the adversary has the weights, so the model behind the guard is attacked")
        return ModelSource(partial(loaded, request, bare(source)))
    return ModelSource(partial(served, request, source))


def attack_facts(plan: Plan, of: str) -> dict[str, Any]:
    """What run.yaml says of the attack: its arguments, its strengths, what the adversary needs and
    holds.
    """
    card = registry.member("attacks", plan.sweep.called.name).card
    strengths = {plan.sweep.argument: list(plan.sweep.x)}
    return {
        **plan.sweep.called.as_json(),
        "of": of,
        "strengths": strengths,
        "rights": list(card["rights"]),
        **plan.held(),
    }


def same_tokens(request: AttackRequest, others: Sequence[str]) -> None:
    """Refused, before anything is measured, if a model beside the attacked one reads or says
    other things: texts in other tokens, other classes.
    """
    for source in others:
        check_sources_alike(bare(request.model), bare(source), request.trust_remote_code)


def recovered(folder: Path) -> Recovery:
    """What a finished attack found, read from its folder."""
    return Recovery(read_curves(folder / "curves.json"))


def in_memory(
    plan: Plan,
    request: AttackRequest,
    models: Mapping[str, Subject],
    place: Path,
    tick: Callable[[int], None],
) -> Recovery:
    """What an attack on models in memory finds; ``place`` is for checkpoints."""
    lent = {
        name: partial(ModelSource.lent, within_reach(model, plan.sweep))
        for name, model in models.items()
    }
    found, _ = recovery(plan, plan.sweeper(place, request), lent, {}, "unlearned", tick)
    return Recovery(tuple(curve_of(curve, "curve") for curve in found["curves"]))
