"""What a mutant changes: each operator takes a node of a file's tree and yields texts to stand in its place."""

import ast
import copy
import re
from collections.abc import Callable, Iterator

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
}
CALLS = {"min": "max", "max": "min", "any": "all", "all": "any"}
# In texts that another program reads: SQL and Lua. Each pair is tried at its first place in the text.
QUERIES = re.compile(
    r"\b(SELECT|WHERE|UPDATE|INSERT INTO|DELETE FROM|RETURNING|ORDER BY|EXECUTE|redis\.call)\b"
)
PHRASES = (
    (r"\bAND\b", "OR"),
    (r"\bIS NOT NULL\b", "IS NULL"),
    (r"\bIS NULL\b", "IS NOT NULL"),
    (r"\bIS DISTINCT FROM\b", "="),
    (r"\bDESC\b", "ASC"),
    (r"\bASC\b", "DESC"),
    (r" < ", " <= "),
    (r" > ", " >= "),
    (r" <= ", " < "),
    (r" >= ", " > "),
    (r" \+ 1\b", " + 2"),
    (r"\bFOR (NO KEY )?UPDATE\b", ""),
    (r"\bSKIP LOCKED\b", ""),
    (r"\bOR REPLACE\b", ""),
    (r"\bBEFORE\b", "AFTER"),
    (r"\bmath\.min\b", "math.max"),
    (r"\bmath\.max\b", "math.min"),
)
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.:/-]{1,40}\Z")
Texts = Iterator[str]


def comparison(node: ast.AST) -> Texts:
    """`<` for `<=`, `==` for `!=`, `in` for `not in`."""
    if isinstance(node, ast.Compare):
        for index, operator in enumerate(node.ops):
            changed = copy.deepcopy(node)
            changed.ops[index] = COMPARISONS[type(operator)]()
            yield _inner(changed)


def boundary(node: ast.AST) -> Texts:
    """A number that is one more, and one that is one less."""
    if (
        isinstance(node, ast.Constant)
        and isinstance(node.value, (int, float))
        and not isinstance(node.value, bool)
    ):
        yield repr(node.value + 1)
        if node.value:
            yield f"({node.value - 1!r})"


def boolean(node: ast.AST) -> Texts:
    """True for False, `and` for `or`, a condition for its opposite."""
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield repr(not node.value)
    elif isinstance(node, ast.BoolOp):
        changed = copy.deepcopy(node)
        changed.op = ast.And() if isinstance(node.op, ast.Or) else ast.Or()
        yield _inner(changed)
        yield from (_inner(part) for part in node.values)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield _inner(node.operand)
    elif isinstance(node, (ast.Name, ast.Call, ast.Attribute)) and getattr(node, "is_condition", False):
        yield f"(not {ast.unparse(node)})"


def arithmetic(node: ast.AST) -> Texts:
    """`+` for `-`, `*` for `/`, `min` for `max`."""
    if isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC and not _is_text(node):
        changed = copy.deepcopy(node)
        changed.op = ARITHMETIC[type(node.op)]()
        yield _inner(changed)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLS:
        called = copy.deepcopy(node)
        called.func = ast.Name(CALLS[node.func.id])
        yield ast.unparse(called)


def removed_statement(node: ast.AST) -> Texts:
    """No call, no change of an attribute or an item, no `raise`."""
    called = isinstance(node, ast.Expr) and isinstance(node.value, (ast.Call, ast.Await))
    stored = isinstance(node, ast.Assign) and isinstance(node.targets[0], (ast.Attribute, ast.Subscript))
    if called or stored or isinstance(node, (ast.AugAssign, ast.Delete)):
        yield "pass"


def removed_guard(node: ast.AST) -> Texts:
    """No `if` whose body ends the function or the turn of the loop."""
    if (
        isinstance(node, ast.If)
        and not node.orelse
        and isinstance(node.body[-1], (ast.Raise, ast.Return, ast.Continue))
    ):
        yield "pass"


def removed_handler(node: ast.AST) -> Texts:
    """An `except` that catches nothing."""
    if getattr(node, "is_caught", False):
        yield "()"


def arguments(node: ast.AST) -> Texts:
    """Two arguments in the other order; one keyword argument less."""
    if not isinstance(node, ast.Call) or getattr(node, "is_raised", False):
        return
    if len(node.args) > 1 and not any(isinstance(one, ast.Starred) for one in node.args[:2]):
        changed = copy.deepcopy(node)
        changed.args[:2] = reversed(changed.args[:2])
        yield ast.unparse(changed)
    for index, keyword in enumerate(node.keywords):
        if keyword.arg:
            changed = copy.deepcopy(node)
            del changed.keywords[index]
            yield ast.unparse(changed)


def text(node: ast.AST) -> Texts:
    """Another name: of a header, a column, a metric, a code."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and NAME.match(node.value):
        yield repr(node.value + "x")


def either(node: ast.AST) -> Texts:
    """The same branch of a conditional expression, for any condition."""
    if isinstance(node, ast.IfExp):
        yield _inner(node.body)
        yield _inner(node.orelse)


def query(source: str) -> Texts:
    """Another condition, order, lock or bound in a text of SQL or Lua, given as it stands in the file."""
    if QUERIES.search(source):
        for pattern, replacement in PHRASES:
            for found in re.finditer(pattern, source):
                yield source[: found.start()] + replacement + source[found.end() :]


def _inner(node: ast.expr) -> str:
    return f"({ast.unparse(node)})"


def _is_text(node: ast.BinOp) -> bool:
    return any(
        isinstance(one, ast.JoinedStr) or (isinstance(one, ast.Constant) and isinstance(one.value, str))
        for one in ast.walk(node)
    )


OPERATORS: dict[str, Callable[[ast.AST], Texts]] = {
    one.__name__: one
    for one in (
        comparison,
        boundary,
        boolean,
        arithmetic,
        removed_statement,
        removed_guard,
        removed_handler,
        arguments,
        text,
        either,
    )
}
