"""The options that verbs share, in the words of their help; and a verb's local names as the fields of a request."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from expunge import __version__
from expunge.core.errors import Refused, no_choice, unknown
from expunge.core.escape import tell

Text = str | None
Number = float | None
Whole = int | None
WIDEST = 120  # columns of a terminal that help uses
opt = typer.Option
Model = Annotated[str, opt(help="a model folder, a run's folder, or owner/name on the hub")]
Bench = Annotated[str, opt(help="a benchmark and its split, e.g. tofu:forget10 or builtin")]
Forget = Annotated[str, opt(help="rows to forget: a file, a folder, or hub:owner/name[:config][@split]")]
Retain = Annotated[str, opt(help="rows to keep")]
Holdout = Annotated[str, opt(help="rows that no model saw; membership scores need them")]
Data = Annotated[str, opt(help="folder of benchmark rows; without it they come from the hub", envvar="EXPUNGE_DATA")]
Subset = Annotated[str, opt(help="a named part of the benchmark's training rows")]
OneStage = Annotated[str, opt("--stage", help="only this stage of a benchmark that has stages; all, one after the other, if left away")]
Columns = Annotated[str, opt(help="which columns hold what, e.g. prompt=q,answer=a")]
Overlap = Annotated[str, opt(help="forget rows that also stand in retain: drop them from retain, or keep both")]
Length = Annotated[int, opt(help="longest row in tokens", min=8)]
Out = Annotated[str, opt(help="folder of the run")]
Over = Annotated[bool, opt("--overwrite", help="replace a finished or different run in that folder")]
Threads = Annotated[Whole, opt(help="threads of this process (default 1)", min=1)]
Dtype = Annotated[str, opt(help="auto, float32, bfloat16 or float16")]
Device = Annotated[str, opt(help="auto, cpu, cuda, cuda:1 ...")]
Trust = Annotated[bool, opt("--trust-remote-code", help="run code that comes with the model; only if you trust its author")]
Quiet = Annotated[bool, opt("--quiet", help="no progress")]
Debug = Annotated[bool, opt("--debug", help="show tracebacks")]
Lr = Annotated[Number, opt(help="learning rate")]
Epochs = Annotated[Number, opt(help="passes over the forget rows")]
Steps = Annotated[Whole, opt(help="optimizer steps; overrides --epochs")]
Batch = Annotated[Whole, opt(help="forget rows of a micro-step (each brings its partners)")]
Accumulate = Annotated[Whole, opt(help="micro-steps of an optimizer step")]
Schedule = Annotated[Text, opt(help="constant, linear, cosine, cosine_min10, inverse_sqrt")]
Warmup = Annotated[Number, opt(help="share of the steps (below 1) or number of steps")]
Decay = Annotated[Number, opt(help="weight decay")]
Clip = Annotated[Number, opt(help="largest gradient norm; 0 for none")]
Seed = Annotated[Whole, opt(help="decides everything that is drawn")]
SaveEvery = Annotated[Whole, opt(help="steps between checkpoints; 0 for none")]
Optimiser = Annotated[Text, opt(help="adamw, sgd, or sophia (clipped second-order steps)")]
Alternate = Annotated[str, opt(help="other answers to the forget questions, in place of refusals or generated ones")]
World = Annotated[str, opt(help="general text or questions that are kept besides retain")]
Refusals = Annotated[str, opt(help="a text file of your own refusals, one a line")]
ChatModel = Annotated[str, opt(help="a chat model that writes what a method needs: a folder, or the URL of an OpenAI-compatible server")]
Names = Annotated[str, opt(help="a text file of the names to look for, one a line; without it names are found by their spelling")]
Anchors = Annotated[str, opt(help="a JSON or YAML file: special word -> what stands in its place")]
Domain = Annotated[str, opt(help="the name of a domain to write a forget corpus about (with --chat)")]
Lora = Annotated[Whole, opt(help="train a LoRA adapter of this rank instead of all weights; 0: all weights, whatever a preset says")]
LoraAlpha = Annotated[Number, opt(help="its scaling is this over the rank (default: twice the rank)")]
LoraTargets = Annotated[Text, opt(help="a regular expression: it sits on weight matrices with such names (default: every linear layer)")]
LoraDropout = Annotated[Number, opt(help="share of its inputs that training drops")]


class Verbs(TyperGroup):
    """The verbs; one that there is not is refused with the nearest."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The verb of a name."""
        if cmd_name not in self.commands:
            raise unknown("command", cmd_name, self.commands)
        return super().get_command(ctx, cmd_name)


def tell_version(asked: bool) -> None:
    """Print the version and end, if it was asked for."""
    if asked:
        tell(f"expunge {__version__}")
        raise typer.Exit


Version = Annotated[bool, opt("--version", help="print the version", callback=tell_version, is_eager=True)]


def options(context: dict[str, Any]) -> dict[str, Any]:
    """The local names of a verb as Request fields: columns parsed, what belongs to the command line alone taken out."""
    made = {k: v for k, v in context.items() if k not in ("debug", "ctx", "name", "from_")}
    if "columns" in made:
        pairs = [p for p in made["columns"].split(",") if p]
        if any("=" not in p for p in pairs):
            raise Refused(f"--columns {made['columns']!r}; write it as prompt=my_question,answer=my_answer")
        made["columns"] = dict(p.split("=", 1) for p in pairs)
    if made.get("allow_overlap", "") not in ("", "drop", "keep"):
        raise no_choice("--allow-overlap", made["allow_overlap"], ("drop", "keep"))
    return made
