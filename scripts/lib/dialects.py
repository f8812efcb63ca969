"""A query of SQLite's dialect as PostgreSQL or SQL Server understand it: one file, the same rows from every server.

Queries stay in SQLite's words, which SQLite runs as they stand. For a server they are parsed, the known constructs are
put into its words, and the parameters are written out as literals: what arrives is a text that a database administrator
can read, explain and run again, without placeholders whose types the server would have to guess. What is not known here
is an error that names it, because a function that exists on both sides and differs would be believed.
`workflow/sql/README.md` has the list of what may be used.
"""

import math
from collections.abc import Mapping

from sqlglot import ErrorLevel, exp, parse
from sqlglot.errors import ParseError, SqlglotError

from lib import dialect_rules, dialect_times
from lib.sqltext import Scalar, SqlError

SERVERS = ("postgres", "tsql")
TIMES = ("window_start", "window_end", "known_until")


def render(sql: str, values: Mapping[str, Scalar | list[Scalar]], wanted: str) -> str:
    """The query `sql`, of SQLite's dialect, for `wanted` (one of SERVERS), its parameters written as literals.

    An empty list becomes NULL, as in `sqltext.bind`. Raises SqlError for a parameter without a value, a list outside
    IN ( ), and whatever this module does not know, named.
    """
    if wanted not in SERVERS:
        raise SqlError(f"there is no dialect {wanted}: {' or '.join(SERVERS)}")
    tree = _parsed(sql)
    _fill(tree, values)
    _check_truths(tree)
    _prepare_order(tree, nulls_first=wanted == "tsql")
    rendered = dialect_rules.Rules(wanted == "tsql").go(tree)
    try:
        return str(rendered.sql(dialect=wanted, pretty=True, comments=False, unsupported_level=ErrorLevel.RAISE))
    except SqlglotError as error:
        raise SqlError(f"it cannot be written for {wanted}: {error}") from None


def _parsed(sql: str) -> exp.Query:
    try:
        trees = [tree for tree in parse(sql, read="sqlite") if tree is not None]
    except SqlglotError as error:
        # The parser's own message quotes the text around the fault, and nothing but the text.
        where = error.errors[0] if isinstance(error, ParseError) and error.errors else {}
        near = f"line {where.get('line', '?')}, near {where.get('highlight', 'its end')}"
        raise SqlError(f"{near}: this is not SQL of SQLite's dialect") from None
    if len(trees) != 1 or not isinstance(trees[0], exp.Query):
        raise SqlError("a query is one SELECT, or WITH … SELECT")
    return trees[0]


def _fill(tree: exp.Expr, values: Mapping[str, Scalar | list[Scalar]]) -> None:
    """Put the literals in the places of the parameters of `tree`."""
    places = list(tree.find_all(exp.Placeholder))
    missing = sorted({str(place.this) for place in places} - set(values))
    if missing:
        names = ", ".join(f":{name}" for name in missing)
        raise SqlError(f"no value for {names}: set it under the cohort's parameters (or labels, for clocks)")
    for place in places:
        name, value = str(place.this), values[str(place.this)]
        if not isinstance(value, list):
            written = literal(value)
            place.replace(dialect_times.moment(written) if name in TIMES else written)
        elif isinstance(place.parent, exp.In) and place.parent.expressions == [place]:
            place.parent.set("expressions", [literal(entry) for entry in value] or [exp.null()])
        else:
            raise SqlError(f":{name} is a list: write IN (:{name})")


def literal(value: Scalar) -> exp.Expr:
    """One value as the parser would have read it from SQLite's text."""
    if isinstance(value, str):
        if "\x00" in value:
            raise SqlError("a parameter holds a NUL character, which no server takes")
        return exp.Literal.string(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise SqlError("a parameter is infinite or not a number")
    number = int(value) if isinstance(value, bool) else value
    written = exp.Literal.number(repr(abs(number)))
    return exp.Neg(this=written) if number < 0 else written


def _check_truths(tree: exp.Expr) -> None:
    """SQLite's truth is a number, a server's is not: conditions stand where conditions belong, and nowhere else.

    EXISTS as a value, never NULL, becomes 1 or 0; another condition as a value is refused, because its NULL would
    need a third case.
    """
    for node in list(tree.walk()):
        if isinstance(node, exp.Paren):
            continue
        is_condition = isinstance(node, exp.Predicate | exp.Connector | exp.Not)
        if is_condition and not _decides(node):
            if not isinstance(node, exp.Exists):
                raise SqlError(
                    f"{dialect_rules.told(node)} is a condition used as a value: write CASE WHEN … THEN 1 ELSE 0 END"
                )
            branch = exp.If(true=exp.Literal.number(1))
            node.replace(exp.Case(ifs=[branch], default=exp.Literal.number(0)))
            branch.set("this", node)
        elif not is_condition and isinstance(node, exp.Condition) and _decides(node):
            raise SqlError(f"{dialect_rules.told(node)} is a value used as a condition: compare it with something")


def _decides(node: exp.Expr) -> bool:
    """Does something depend on `node` being true?"""
    parent, key = node.parent, node.arg_key
    while isinstance(parent, exp.Paren):
        key, parent = parent.arg_key, parent.parent
    if isinstance(parent, exp.If):
        return key == "this" and not (isinstance(parent.parent, exp.Case) and parent.parent.this)
    if isinstance(parent, exp.Join):
        return bool(key == "on")
    return isinstance(parent, exp.Where | exp.Having | exp.Connector | exp.Not)


def _prepare_order(tree: exp.Query, nulls_first: bool) -> None:
    """The keys at the end of the query are never NULL, so they are sorted as the server does, by its index.

    In ORDER BY name COLLATE … a server takes a column of a table, not one that the SELECT names.
    """
    order = tree.args.get("order")
    chosen = {column.alias: column.this for column in tree.selects if isinstance(column, exp.Alias)}
    for by in order.expressions if order else ():
        by.set("nulls_first", nulls_first)
        inner = by.this.this if isinstance(by.this, exp.Collate) else None
        if isinstance(inner, exp.Column) and not inner.table and inner.name in chosen:
            inner.replace(chosen[inner.name].copy())
