"""What a role is asked, in short."""

from expunge.evaluation.observations.base import Want, merged
from expunge.evaluation.observations.generation import Generation
from expunge.evaluation.observations.multiple_choice import MultipleChoice
from expunge.evaluation.observations.teacher_forced import TeacherForced


def asks(
    scored=("answer",),
    write=False,
    moments=False,
    options="",
    observations=(),
    tokens=0,
    cut=False,
):
    """The texts that are scored, whether answers are generated, the options, other observations."""
    asked = [TeacherForced(scored, moments)] if scored else []
    asked += [Generation()] if write else []
    asked += [MultipleChoice(options == "all")] if options else []
    return Want(merged(asked, observations), tokens, cut)
