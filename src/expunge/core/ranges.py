"""The numbers that an argument may be, as its annotation says it: ``Annotated[float, Interval(gt=0,
le=1)]``.
"""

from __future__ import annotations

import ast
import math
from dataclasses import dataclass
from typing import Any

import annotated_types

CONSTRAINTS = ("Gt", "Ge", "Lt", "Le", "Interval")


@dataclass(frozen=True)
class Range:
    """An interval of numbers; ``above`` and ``below`` tell that its low and its high end do not
    belong to it.
    """

    low: float = -math.inf
    high: float = math.inf
    above: bool = False
    below: bool = False

    def holds(self, value: float) -> bool:
        """Whether a number lies in it. NaN never does."""
        if self.above:
            over = self.low < value
        else:
            over = self.low <= value
        if self.below:
            under = value < self.high
        else:
            under = value <= self.high
        return over and under

    @property
    def words(self) -> str:
        """What a value must be: ``above 0``, ``from 0 to 1``, ``above 0 and at most 1``."""
        if math.isfinite(self.low):
            low = f"{'above' if self.above else 'at least'} {_written(self.low)}"
        else:
            low = ""
        if math.isfinite(self.high):
            high = f"{'below' if self.below else 'at most'} {_written(self.high)}"
        else:
            high = ""
        if low and high and not self.above and not self.below:
            return f"from {_written(self.low)} to {_written(self.high)}"
        return " and ".join(filter(None, (low, high))) or "any number"


def _written(number: float) -> str:
    """A number as people write it: a whole one with all its digits."""
    return str(int(number)) if number.is_integer() else f"{number:g}"


def range_of(constraint: Any) -> Range:
    """The range of an ``annotated_types`` constraint: Gt, Ge, Lt, Le or an Interval of them."""
    gt = getattr(constraint, "gt", None)
    ge = getattr(constraint, "ge", None)
    lt = getattr(constraint, "lt", None)
    le = getattr(constraint, "le", None)
    low = next((float(end) for end in (gt, ge) if end is not None), -math.inf)
    high = next((float(end) for end in (lt, le) if end is not None), math.inf)
    return Range(low, high, above=gt is not None, below=lt is not None)


def annotation_of(node: ast.expr | None) -> tuple[str, Range | None]:
    """An annotation as it stands in source without its constraint, and the range that the
    constraint sets: of the number itself, or of each number of a tuple. None where there is none.
    ValueError names what is no constraint of a number.
    """
    if node is None:
        return "", None
    if isinstance(node, ast.BinOp):
        left, found = annotation_of(node.left)
        return f"{left} | {ast.unparse(node.right)}", found
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Tuple):
        kind = ast.unparse(node.value)
        parts = node.slice.elts
        if kind == "Annotated":
            if len(parts) != 2:
                raise ValueError(f"{ast.unparse(node)}: one constraint; an Interval has two ends")
            return ast.unparse(parts[0]), _constraint(parts[1])
        if kind == "tuple":
            inner, found = annotation_of(parts[0])
            return f"tuple[{', '.join([inner, *(ast.unparse(p) for p in parts[1:])])}]", found
    return ast.unparse(node), None


def _constraint(node: ast.expr) -> Range:
    if not isinstance(node, ast.Call) or ast.unparse(node.func) not in CONSTRAINTS:
        raise ValueError(f"{ast.unparse(node)}: none of {', '.join(CONSTRAINTS)}")
    made = getattr(annotated_types, ast.unparse(node.func))
    values = [ast.literal_eval(value) for value in node.args]
    return range_of(
        made(*values, **{k.arg: ast.literal_eval(k.value) for k in node.keywords if k.arg})
    )
