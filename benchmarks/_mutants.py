"""Faults planted in a method's source, one at a time: the text that changes, where, and what kind
of fault it is.

Docstrings, cards, imports, annotations, decorators, assertions, messages and the names of terms and
stages are left alone. The rest of the text stays as it is, so that a line number means the same in
both.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

OPERATORS: dict[type, tuple[str, str]] = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "/"),
    ast.Mod: ("%", "*"),
    ast.Pow: ("**", "*"),
    ast.BitOr: ("|", "&"),
    ast.BitAnd: ("&", "|"),
}
COMPARISONS: dict[type, tuple[str, tuple[str, ...]]] = {
    ast.Lt: ("<", ("<=", ">=")),
    ast.LtE: ("<=", ("<", ">")),
    ast.Gt: (">", (">=", "<=")),
    ast.GtE: (">=", (">", "<")),
    ast.Eq: ("==", ("!=",)),
    ast.NotEq: ("!=", ("==",)),
    ast.In: ("in", ("not in",)),
    ast.NotIn: ("not in", ("in",)),
    ast.Is: ("is", ("is not",)),
    ast.IsNot: ("is not", ("is",)),
}
STREAMS = ("forget", "retain", "alternate", "mismatch", "renamed", "relabelled", "retain_refused")
WORDS = {name: "forget" for name in STREAMS} | {
    "forget": "retain",
    "tok": "seqmean",
    "seqmean": "tok",
    "seqsum": "seqmean",
    "answer": "all",
    "all": "answer",
    "start": "current",
    "current": "start",
    "sgd": "adamw",
    "sophia": "adamw",
}
CALLS = {
    "mean": "sum",
    "sum": "mean",
    "min": "max",
    "max": "min",
    "argmax": "argmin",
    "any": "all",
    "all": "any",
}
# their first argument is a name that only messages show
NAMED = ("Term", "Descent", "Edit", "Prepare")
STILL = ("detach", "detached", "fixed", "sg")  # what stops a gradient


@dataclass(frozen=True)
class Mutant:
    """One fault: bytes ``start`` to ``end`` of the source become ``now``."""

    kind: str
    line: int
    start: int
    end: int
    was: str
    now: str

    def applied(self, source: str) -> str:
        """The source with the fault in it."""
        text = source.encode()
        return (text[: self.start] + self.now.encode() + text[self.end :]).decode()


class Planter:
    """Walks a module and offers every fault that it knows."""

    def __init__(self, source: str) -> None:
        self.text = source.encode()
        self.lines = [0]
        for line in self.text.splitlines(keepends=True):
            self.lines.append(self.lines[-1] + len(line))
        self.tree = ast.parse(source)
        self.parents = {
            child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)
        }
        self.literals = self._choices()

    def place(self, node: ast.AST) -> tuple[int, int]:
        """The bytes of a node."""
        start = self.lines[node.lineno - 1] + node.col_offset  # type: ignore[attr-defined]
        return start, self.lines[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined]

    def written(self, node: ast.AST) -> str:
        """A node as it stands in the source."""
        start, end = self.place(node)
        return self.text[start:end].decode()

    def _choices(self) -> dict[ast.AST, list[str]]:
        """Defaults of arguments that are one of several words, with the other words."""
        found: dict[ast.AST, list[str]] = {}
        for fn in ast.walk(self.tree):
            if not isinstance(fn, ast.FunctionDef):
                continue
            with_default = fn.args.args[len(fn.args.args) - len(fn.args.defaults) :]
            for argument, default in zip(with_default, fn.args.defaults, strict=True):
                said = ast.unparse(argument.annotation) if argument.annotation else ""
                if said.startswith("Literal[") and isinstance(default, ast.Constant):
                    words = ast.literal_eval(f"({said[8:-1]},)")
                    found[default] = [w for w in words if w != default.value]
        return found

    def nodes(self) -> Iterator[ast.AST]:
        """What may change, in the order of the source."""
        waiting: list[ast.AST] = list(reversed(self.tree.body))
        while waiting:
            node = waiting.pop()
            if isinstance(node, (ast.Import, ast.ImportFrom, ast.Assert, ast.Raise, ast.JoinedStr)):
                continue
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                continue  # a docstring
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "card":
                continue
            yield node
            skipped: list[ast.AST] = []
            if isinstance(node, ast.FunctionDef):
                skipped = [*node.decorator_list, *([node.returns] if node.returns else [])]
            if isinstance(node, (ast.arg, ast.AnnAssign)) and node.annotation:
                skipped = [node.annotation]
            named = isinstance(node, ast.Call) and getattr(node.func, "id", "") in NAMED
            if named and node.args and isinstance(node.args[0], ast.Constant):
                skipped = [node.args[0]]
            waiting.extend(reversed([c for c in ast.iter_child_nodes(node) if c not in skipped]))

    def swap(self, kind: str, node: ast.AST, now: str) -> Mutant:
        """The fault of another text at a node's place."""
        start, end = self.place(node)
        return Mutant(kind, node.lineno, start, end, self.written(node), now)  # type: ignore[attr-defined]

    def all(self) -> list[Mutant]:
        """Every fault, each once; what changes nothing or cannot be parsed is left out."""
        source = self.text.decode()
        seen, found = {ast.dump(self.tree)}, []
        for node in self.nodes():
            for mutant in self.of(node):
                try:
                    made = ast.dump(ast.parse(mutant.applied(source)))
                except SyntaxError:
                    continue
                if made not in seen:
                    seen.add(made)
                    found.append(mutant)
        return found

    def of(self, node: ast.AST) -> Iterator[Mutant]:
        """The faults that one node can have."""
        if isinstance(node, ast.Constant):
            yield from self.of_constant(node)
        elif isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
            old, new = OPERATORS[type(node.op)]
            yield self.between("operator", node, node.left, node.right, old, new)
        elif isinstance(node, ast.Compare) and len(node.ops) == 1:
            old, others = COMPARISONS[type(node.ops[0])]
            for new in others:
                yield self.between("comparison", node, node.left, node.comparators[0], old, new)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.Not)):
            # the last axis, of a matrix the same as axis 1; the number itself changes to -2
            if self.written(node) != "-1":
                yield self.swap("sign", node, f"({self.written(node.operand)})")
        elif isinstance(node, ast.BoolOp):
            old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
            yield self.between("condition", node, node.values[0], node.values[1], old, new)
        else:
            yield from self.of_larger(node)

    def of_larger(self, node: ast.AST) -> Iterator[Mutant]:
        """The faults of conditions, returns, tuples and calls."""
        if isinstance(node, ast.IfExp):
            body, test, other = (self.written(x) for x in (node.body, node.test, node.orelse))
            yield self.swap("condition", node, f"({other} if {test} else {body})")
        elif isinstance(node, ast.If):
            yield self.swap("condition", node.test, f"not ({self.written(node.test)})")
        elif isinstance(node, ast.Return) and node.value is not None:
            yield from self.of_return(node)
        elif isinstance(node, ast.Tuple) and isinstance(
            self.parents[node], (ast.Return, ast.Call, ast.Assign)
        ):
            yield from self.without_a_part(node)
        elif isinstance(node, ast.Call):
            yield from self.of_call(node)

    def between(
        self, kind: str, node: ast.AST, left: ast.AST, right: ast.AST, old: str, new: str
    ) -> Mutant:
        """Another operator between two operands."""
        start, end = self.place(left)[1], self.place(right)[0]
        middle = self.text[start:end].decode().replace(old, new, 1)
        now = self.written(left) + middle + self.written(right)
        whole_start, whole_end = self.place(left)[0], self.place(right)[1]
        was = self.text[whole_start:whole_end].decode()
        return Mutant(kind, left.lineno, whole_start, whole_end, was, now)  # type: ignore[attr-defined]

    def of_constant(self, node: ast.Constant) -> Iterator[Mutant]:
        """Another number, the other truth, another word of the choice, another stream or way of
        counting.
        """
        value = node.value
        if isinstance(value, bool):
            yield self.swap("constant", node, str(not value))
        elif isinstance(value, int):
            yield self.swap("constant", node, str(value + 1))
        elif isinstance(value, float):
            yield self.swap("constant", node, repr(value * 2 if value else 1.0))
        elif isinstance(value, str) and node in self.literals:
            yield self.swap("constant", node, f'"{self.literals[node][0]}"')
        elif isinstance(value, str) and value in WORDS:
            yield self.swap("stream" if value in STREAMS else "word", node, f'"{WORDS[value]}"')

    def of_return(self, node: ast.Return) -> Iterator[Mutant]:
        """The other sign of what a function of tensors returns."""
        at: ast.AST = node
        while not isinstance(at, (ast.FunctionDef, ast.Lambda)):
            at = self.parents[at]
        returns = getattr(at, "returns", None)
        if (
            node.value is not None
            and returns is not None
            and ast.unparse(returns) in ("Tensor", "float")
        ):
            yield self.swap("sign", node.value, f"-({self.written(node.value)})")

    def without_a_part(self, node: ast.Tuple) -> Iterator[Mutant]:
        """A stage, a term or a layer too few."""
        if len(node.elts) < 2:
            return
        for gone in node.elts:
            rest = [self.written(e) for e in node.elts if e is not gone]
            kept = "(" + ", ".join(rest) + ("," if rest else "") + ")"
            start, end = self.place(node)
            yield Mutant("part removed", gone.lineno, start, end, self.written(gone), kept)

    def of_call(self, node: ast.Call) -> Iterator[Mutant]:
        """A keyword argument too few, the next layer, a gradient that is not stopped, the sum for
        the mean.
        """
        for keyword in node.keywords:
            if keyword.arg is None:
                continue
            start, end = self.place(keyword)
            after = re.match(rb"\s*,\s*", self.text[end:])
            before = re.search(rb",\s*$", self.text[:start])
            if after:
                end += after.end()
            elif before:
                start = before.start()
            yield Mutant("argument dropped", keyword.lineno, start, end, self.written(keyword), "")
            if (
                isinstance(keyword.value, ast.Name)
                and "layer" in keyword.value.id
                and "layers" not in keyword.value.id
            ):
                yield self.swap("layer", keyword.value, f"{keyword.value.id} + 1")
        if isinstance(node.func, ast.Attribute) and node.func.attr in STILL and not node.args:
            yield self.swap("gradient", node, self.written(node.func.value))
        elif isinstance(node.func, ast.Name) and node.func.id in STILL and len(node.args) == 1:
            yield self.swap("gradient", node, f"({self.written(node.args[0])})")
        name = (
            node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        )
        if name in CALLS and (
            isinstance(node.func, ast.Attribute) or name in ("min", "max", "any", "all")
        ):
            end = self.place(node.func)[1]
            start = end - len(name)
            yield Mutant(
                "function",
                node.func.end_lineno or node.lineno,
                start,
                end,
                self.written(node),
                CALLS[name],
            )


def mutants(source: str) -> list[Mutant]:
    """Every fault that can be planted in a source, in its order."""
    return Planter(source).all()
