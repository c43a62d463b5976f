"""The only training loop: a thin subclass of Hugging Face's Trainer that minimizes a sum of Terms.

One optimizer step of the plan is one Trainer step. It is cut into micro-steps here, each one packed
forward of all streams together; every term's values are divided by the step's own count (all
micro-steps, all ranks), so that 8 rows are 8 x 1 accumulated.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor
from torch.utils.data import DataLoader
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from expunge.core.data import Row
from expunge.core.errors import Failed, Refused, out_of_memory, unwritten
from expunge.core.files import write_manifest
from expunge.core.notes import note
from expunge.core.progress import Tick
from expunge.core.results import EMPTY
from expunge.core.stages import Descent, Term
from expunge.losses.gradients import Grads, swapped
from expunge.losses.weight_deltas import Trained
from expunge.models.base import TrainableModel
from expunge.models.quiet import quiet
from expunge.training.callbacks import Journal, Steering
from expunge.training.checkpoints import keep, last_whole, recall, trim
from expunge.training.localization import located
from expunge.training.lora_init import fila
from expunge.training.mixed_precision import check_trainable, told, widen
from expunge.training.optimizers import optimizer_of
from expunge.training.sampler import SCHEDULES, Training, Unit, denominators, plan
from expunge.training.teachers import Frozen, freeze
from expunge.training.term_values import passes, values_of


class NonFinite(Failed):
    """A loss or gradient stopped being a number; the weights of the step before are kept."""


class Descending(Trainer):
    """HF Trainer whose data are the steps of a plan and whose loss is a stage's terms."""

    def __init__(
        self,
        *args: Any,
        subject: TrainableModel,
        stage: Descent,
        steps: Sequence[Sequence[Unit]],
        frozen: Frozen,
        training: Training,
        masks: Mapping[str, Tensor] = EMPTY,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, model=subject.module, **kwargs)
        self.subject = subject
        self.stage, self.steps, self.frozen, self.training, self.masks = (
            stage,
            steps,
            frozen,
            training,
            masks,
        )
        self.by_term: dict[str, float] = {}
        self.values: dict[str, float] = {}  # the same without coefficient: what a controller sees
        controller = stage.controller
        self.memory: dict[str, Any] = {
            "combine": {},
            "controller": dict(controller.first) if controller else {},
        }
        distant = any("weights" in t.needs for t in stage.terms)
        self.start = {n: p.detach().clone() for n, p in self.trained().items()} if distant else {}

    def trained(self) -> dict[str, Tensor]:
        """The parameters that move, by name."""
        return self.subject.trained()

    def get_train_dataloader(self) -> DataLoader:
        numbers: Any = range(len(self.steps))
        return DataLoader(numbers, batch_size=1, collate_fn=lambda items: {"step": items[0]})

    def floating_point_ops(self, inputs: Any) -> int:
        return 0

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """AdamW as Trainer makes it, or the optimizer that the settings name; 16-bit weights are
        stepped in float32.
        """
        if self.training.optimizer == "adamw":
            made = super().create_optimizer() if model is None else super().create_optimizer(model)
        else:
            decayed = set(self.get_decay_parameter_names(self.model))
            split = [
                [p for n, p in self.trained().items() if (n in decayed) == yes]
                for yes in (True, False)
            ]
            groups = [
                {"params": ps, "weight_decay": d}
                for ps, d in zip(split, (self.training.weight_decay, 0.0), strict=True)
                if ps
            ]
            made = optimizer_of(
                self.training.optimizer,
                groups,
                self.training.lr,
                self.training.betas,
                self.training.rho,
            )
        pairs = widen(made)
        if pairs:
            note(told(self.stage.name, pairs))
        self.optimizer = made
        return made

    @property
    def progress(self) -> float:
        """Share of the planned steps that are done: 0 to 1."""
        return self.state.global_step / max(len(self.steps), 1)

    def coefficients(self) -> dict[str, float]:
        """Each term's coefficient now: its own times what the controller makes of it."""
        controller = self.stage.controller
        moved = (
            controller.factors(self.memory["controller"], self.progress)
            if controller and controller.factors
            else {}
        )
        return {t.name: t.coef * moved.get(t.name, 1.0) for t in self.stage.terms}

    def training_step(
        self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None
    ) -> Tensor:
        """Forward and backward of one optimizer step, micro-step by micro-step; or the gradient
        that the stage's rule makes.
        """
        model.train()
        units = self.steps[inputs["step"]]
        counts, coefficients = denominators(self.stage.terms, units), self.coefficients()
        if self.stage.combine is None:
            sums = self.backward(model, self.stage.terms, units, counts, coefficients)
        else:
            asked = Asked(self, model, units, counts, coefficients)
            gradient = self.stage.combine(asked, self.memory["combine"])
            for name, p in self.trained().items():
                p.grad = gradient[name].to(p.dtype)
            sums = asked.sums
        loss = self._checked(sums, coefficients)
        if self.stage.controller and self.stage.controller.after:
            self.memory["controller"] = dict(
                self.stage.controller.after(self.memory["controller"], self.values, self.progress)
            )
        return loss

    def backward(
        self,
        model: Any,
        terms: Sequence[Term],
        units: Sequence[Unit],
        counts: Mapping[str, int],
        coefficients: Mapping[str, float],
    ) -> dict[str, Tensor]:
        """Add the gradient of these terms over a whole step to the parameters; their values,
        without coefficient.
        """
        ranks, rank = self.accelerator.num_processes, self.accelerator.process_index
        mine = units[rank::ranks] or units[:1]
        # DDP averages over ranks; our counts are already of all
        weight = float(ranks) if units[rank::ranks] else 0.0
        chunks = [
            mine[i : i + self.training.batch] for i in range(0, len(mine), self.training.batch)
        ]
        watched = self.stage.controller is not None and self.stage.controller.after is not None
        reading = [t for t in terms if t.streams and (watched or coefficients[t.name])] or [
            t for t in terms if t.streams
        ]
        sums: dict[str, Tensor] = {}
        for i, chunk in enumerate(chunks):
            with self.accelerator.no_sync(model) if i < len(chunks) - 1 else nullcontext():
                with self.compute_loss_context_manager():
                    found = values_of(
                        reading,
                        chunk,
                        passes(self.subject, reading, chunk, self.frozen, self.args.seed),
                        self.frozen,
                    )
                    if i == 0:
                        found |= self._of_weights(terms, rank)
                    parts = {name: value / counts[name] for name, value in found.items()}
                self.accelerator.backward(
                    weight
                    * torch.stack(
                        [coefficients[name] * value for name, value in parts.items()]
                    ).sum()
                )
            for name, value in parts.items():
                sums[name] = sums.get(name, 0.0) + value.detach()
        return sums

    def _of_weights(self, terms: Sequence[Term], rank: int) -> dict[str, Tensor]:
        """Terms that read the trained weights and no rows: once a step, on one rank."""
        distant = [t for t in terms if "weights" in t.needs and rank == 0]
        return {
            t.name: t.fn(
                Trained(self.trained(), self.start, self.args.seed, self.state.global_step)
            ).sum()
            for t in distant
        }

    def _checked(self, sums: dict[str, Tensor], coefficients: Mapping[str, float]) -> Tensor:
        """The step's loss; stops before the optimizer if a term is not a number (Trainer alone
        would log 0 and go on).
        """
        numbers = torch.stack(
            [torch.stack((v.float(), (coefficients[name] * v).float())) for name, v in sums.items()]
        )
        if self.accelerator.num_processes > 1:
            numbers = self.accelerator.reduce(numbers, "sum")
        self.values, self.by_term = (
            dict(zip(sums, column, strict=True)) for column in numbers.T.tolist()
        )
        for name, value in self.by_term.items():
            if not (abs(value) < float("inf") and abs(self.values[name]) < float("inf")):
                raise NonFinite(
                    f"term {name!r} became {value} at step {self.state.global_step + 1}"
                )
        return numbers[:, 1].sum()

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        norm = super()._get_grad_norm(model, grad_norm)
        if norm is not None and not abs(float(norm)) < float("inf"):
            most = max(self.by_term, key=lambda name: abs(self.by_term[name]))
            raise NonFinite(
                f"the gradient became {float(norm)} at step {self.state.global_step + 1} (largest "
                f"term {most!r}: {self.by_term[most]:.3g})"
            )
        return norm

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        self.subject.restore(Path(resume_from_checkpoint))

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        try:
            super()._save_checkpoint(model, trial)
        except RuntimeError as error:  # what torch.save makes of a disk that refuses
            if out_of_memory(error):
                raise
            raise OSError(errno.EIO, unwritten(error)) from None
        if self.is_world_process_zero():
            place = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
            keep(self.memory, place)
            write_manifest(place)


def stopped(stage: Descent, state: Mapping[str, float]) -> bool:
    """Whether the stage's controller has said stop."""
    return bool(stage.controller and stage.controller.stop and stage.controller.stop(state))


class Asked:
    """One optimizer step as a combine rule sees it (``losses.gradients.Ask``)."""

    def __init__(
        self,
        trainer: Descending,
        model: Any,
        units: Sequence[Unit],
        counts: Mapping[str, int],
        coefficients: Mapping[str, float],
    ) -> None:
        self.trainer, self.model, self.units, self.counts, self.coefficients = (
            trainer,
            model,
            units,
            counts,
            coefficients,
        )
        self.sums: dict[str, Tensor] = {}
        self.step = trainer.state.global_step
        self.weights = {n: p.detach() for n, p in trainer.trained().items()}

    @property
    def lr(self) -> float:
        return float(self.trainer._get_learning_rate())

    def value(self, side: str) -> float:
        """The loss of a side's terms over the whole step, where its gradient was asked for first."""
        terms = [t for t in self.trainer.stage.terms if t.side == side]
        return sum(self.coefficients[t.name] * float(self.sums[t.name]) for t in terms)

    def __call__(self, side: str, at: Grads | None = None) -> Grads:
        """The gradient of a side's terms over the whole step, at ``at`` or at the weights as they
        are.
        """
        terms = [t for t in self.trainer.stage.terms if t.side == side]
        if not terms:
            raise Failed(
                f"stage {self.trainer.stage.name} combines the gradient of {side!r} terms and has "
                f"none"
            )
        run = lambda: self.trainer.backward(
            self.model, terms, self.units, self.counts, self.coefficients
        )
        for name, value in swapped(self.weights, at, run).items():
            self.sums.setdefault(name, value)
        made = {}
        for name, p in self.trainer.trained().items():
            made[name], p.grad = (torch.zeros_like(p) if p.grad is None else p.grad), None
        return made


def arguments(
    training: Training, steps: int, folder: Path, device: torch.device
) -> TrainingArguments:
    """Our settings in Hugging Face's words.

    Trainer's own logging, division and NaN filter are off.
    """
    name, extra = SCHEDULES[training.schedule]
    warmup = round(training.warmup * steps) if training.warmup < 1 else int(training.warmup)
    return TrainingArguments(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=1,
        learning_rate=training.lr,
        lr_scheduler_type=name,
        lr_scheduler_kwargs=dict(extra),
        warmup_steps=warmup,
        weight_decay=training.weight_decay,
        adam_beta1=training.betas[0],
        adam_beta2=training.betas[1],
        max_grad_norm=training.clip,
        seed=training.seed,
        data_seed=training.seed,
        save_strategy="steps" if training.save_every else "no",
        save_steps=training.save_every or 1,
        save_total_limit=2,
        logging_strategy="no",
        logging_nan_inf_filter=False,
        report_to="none",
        disable_tqdm=True,
        use_cpu=device.type == "cpu",
        remove_unused_columns=False,
        label_names=[],
    )


def descend(
    subject: TrainableModel,
    stage: Descent,
    streams: Mapping[str, Sequence[Row]],
    training: Training,
    folder: Path,
    *,
    auxiliaries: dict[str, TrainableModel] | None = None,
    log: Path | None = None,
    tick: Tick = lambda n: None,
    callbacks: Sequence[TrainerCallback] = (),
) -> TrainableModel:
    """Minimize the stage's terms on the subject, in place; returns the subject.

    ``auxiliaries`` are measured first and let go (the mapping is emptied). ``folder`` holds the
    stage's caches and checkpoints; a stage that was killed goes on from its last whole checkpoint
    and ends with the same bits. NonFinite (a Failed) when a loss stops being a
    number: the weights of the step before stand in the checkpoint that it names.
    """
    quiet()
    odd = [
        k
        for k in ("WORLD_SIZE", "LOCAL_RANK", "RANK")
        if not re.fullmatch(r"(-?[0-9]{1,9})?", os.environ.get(k, ""))
    ]
    if odd:
        raise Refused(
            f"the environment says {odd[0]}={os.environ[odd[0]]!r}, which is no number; unset it"
        )
    if int(os.environ.get("WORLD_SIZE") or "1") > 1:
        raise Refused(
            "several processes were asked for; run folders and caches are made for one so far "
            "(ROADMAP.md), start a single process"
        )
    folder.mkdir(parents=True, exist_ok=True)
    log = log or folder / "log.jsonl"
    torch.manual_seed(training.seed)
    steps = plan(stage, streams, training)
    subject.select(stage.select)
    check_trainable(subject.source or stage.name, list(subject.module.parameters()))
    lent = auxiliaries if auxiliaries is not None else {}
    frozen = freeze(subject, stage, steps, lent, folder / "cache", lambda n: None, streams)
    lent.clear()  # they have said what they had to say: one model in memory while training
    masks = located(subject, stage, steps, frozen, training.seed, folder) if stage.locate else EMPTY
    if stage.adapter and stage.adapter.init == "fila":
        fila(subject, stage, steps, frozen, training.seed)
    resume = last_whole(folder)
    done = int(resume.name.split("-")[1]) if resume else 0
    memory = recall(resume, subject.device) if resume else {}
    if memory and stopped(stage, memory["controller"]):
        steps = steps[:done]  # killed after its controller had said stop: nothing is left to do
    trainer = Descending(
        subject=subject,
        args=arguments(training, len(steps), folder, subject.device),
        stage=stage,
        steps=steps,
        frozen=frozen,
        training=training,
        masks=masks,
        callbacks=list(callbacks),
    )
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Steering(trainer))
    trainer.add_callback(Journal(trainer, log, tick))
    trim(log, stage.name, done)
    if resume:
        tick(done)
        trainer.memory |= memory
    try:
        trainer.train(resume_from_checkpoint=str(resume) if resume else None)
    except NonFinite as error:
        trainer._save_checkpoint(trainer.model, None)
        kept = folder / f"checkpoint-{trainer.state.global_step}"
        raise NonFinite(
            f"stage {stage.name}: {error}; the weights of step {trainer.state.global_step} are "
            f"kept in {kept}; try a smaller --lr"
        ) from None
    except (OSError, SafetensorError) as error:
        raise Failed(
            f"stage {stage.name}: could not save a checkpoint ({unwritten(error)}); the one before "
            f"is kept, free some space and run again"
        ) from None
    subject.module.eval()
    return subject
