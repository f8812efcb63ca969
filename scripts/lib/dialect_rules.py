"""What each construct of SQLite's dialect is on a server: `Rules.go` writes a parsed query again, from the top.

What has no rule and is not the same everywhere is refused. Times have rules of their own, in `dialect_times`.
"""

import re
from collections.abc import Callable
from typing import Any

from sqlglot import exp

from lib import dialect_times
from lib.sqltext import SqlError

_PLAIN = (
    *(exp.Add, exp.Alias, exp.And, exp.Between, exp.CTE, exp.Coalesce, exp.Column, exp.Count, exp.Distinct, exp.Exists),
    *(exp.From, exp.GT, exp.GTE, exp.Group, exp.Having, exp.Identifier, exp.Is, exp.LT, exp.LTE, exp.Lower, exp.Max),
    *(exp.Min, exp.Mul, exp.Neg, exp.Not, exp.Null, exp.Nullif, exp.Or, exp.Order, exp.Ordered, exp.Paren),
    *(exp.RowNumber, exp.Select, exp.Star, exp.Sub, exp.Subquery, exp.Sum, exp.Table, exp.TableAlias, exp.Tuple),
    *(exp.Union, exp.Upper, exp.Values, exp.Where, exp.Window, exp.With, exp.Replace, exp.Abs),
)
_REFUSED_ARGUMENTS = {
    exp.Join: {"using": "JOIN … USING: write ON", "method": "NATURAL JOIN: write ON"},
    exp.With: {"recursive": "WITH RECURSIVE"},
    exp.CTE: {"materialized": "AS MATERIALIZED"},
    exp.In: {"field": "IN table: write IN (SELECT …)", "unnest": "IN table: write IN (SELECT …)"},
}
_TEXT = (exp.Upper, exp.Lower, exp.Replace, exp.Substring, exp.TimeToStr)


class Rules:
    """For SQL Server if `tsql`, else for PostgreSQL."""

    def __init__(self, tsql: bool) -> None:
        self._tsql = tsql
        self._times = dialect_times.Times(tsql, self.go)
        self._rules: dict[type[exp.Expr], Callable[[Any], exp.Expr]] = {
            exp.Case: self._case,
            exp.Cast: self._cast,
            exp.Collate: self._collate,
            exp.Div: self._divide,
            exp.DPipe: self._paste,
            exp.EQ: self._equal,
            exp.In: self._in,
            exp.NEQ: self._equal,
            exp.Length: self._length,
            exp.Literal: self._literal,
            exp.Avg: self._average,
            exp.Substring: self._substring,
            exp.CTE: self._named_values,
        }

    def go(self, node: exp.Expr) -> exp.Expr:
        """A new tree for `node`, which stays as it is."""
        time = self._times.written(node)
        if time is not None:
            return time
        for kind, arguments in _REFUSED_ARGUMENTS.items():
            for name, hint in arguments.items():
                if type(node) is kind and node.args.get(name):
                    raise SqlError(f"{hint} (only what is the same on every server may be used)")
        if type(node) in self._rules:
            return self._rules[type(node)](node)
        comparison = isinstance(node, exp.GT | exp.GTE | exp.LT | exp.LTE | exp.Between)
        if comparison and _texts(*node.args.values()) and not any(map(_sorted, node.args.values())):
            raise SqlError(
                f"{told(node)}: a time is compared with datetime('…') or date('…'), and text with COLLATE BINARY"
            )
        known = type(node) in _PLAIN or type(node) is exp.Join
        if not known and not (isinstance(node, exp.If) and isinstance(node.parent, exp.Case)):
            raise SqlError(f"{told(node)} is not known for this server: see workflow/sql/README.md")
        return self._with(node)

    def _with(self, node: exp.Expr, **changed: Any) -> exp.Expr:
        """`node` with some parts as given and all others rewritten."""
        parts = {name: self._part(value) for name, value in node.args.items() if name not in changed}
        return type(node)(**parts, **changed)

    def _part(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._part(each) for each in value]
        return self.go(value) if isinstance(value, exp.Expr) else value

    def _exactly(self, node: exp.Expr) -> exp.Expr:
        """Text that compares by its bytes; on SQL Server in Unicode, as another code page would lose letters."""
        written = self.go(node)
        if not self._tsql:
            return written
        wide = exp.cast(written, "NVARCHAR(4000)", dialect="tsql")
        return exp.Collate(this=wide, expression=exp.var("Latin1_General_BIN2"))

    def _collate(self, node: exp.Expr) -> exp.Expr:
        if str(node.expression.name).upper() != "BINARY":
            raise SqlError(f"COLLATE {node.expression.name}: only BINARY is the same on every server")
        if self._tsql:
            return self._exactly(node.this)
        return exp.Collate(this=self.go(node.this), expression=exp.to_identifier("C", quoted=True))

    def _equal(self, node: exp.Expr) -> exp.Expr:
        left, right = node.this, node.expression
        if _texts(left) != _texts(right):
            left, right = (left, right) if _texts(right) else (right, left)
            return type(node)(this=self._exactly(left), expression=self.go(right))
        return self._with(node)

    def _in(self, node: exp.Expr) -> exp.Expr:
        return self._with(node, this=self._exactly(node.this)) if _texts(*node.expressions) else self._with(node)

    def _case(self, node: exp.Expr) -> exp.Expr:
        if node.this and _texts(*(branch.this for branch in node.args["ifs"])):
            return self._with(node, this=self._exactly(node.this))
        return self._with(node)

    def _cast(self, node: exp.Cast) -> exp.Expr:
        inner, to = node.this, node.to.this
        if to == exp.DType.TEXT:
            return exp.cast(self.go(inner), "NVARCHAR(MAX)" if self._tsql else "TEXT", dialect="tsql")
        if to in (exp.DType.FLOAT, exp.DType.DOUBLE):
            return exp.cast(self.go(inner), exp.DType.DOUBLE)
        if to != exp.DType.INT:
            raise SqlError(f"{told(node)}: CAST to INTEGER, REAL or TEXT")
        part = self._times.part(inner)
        if part is not None:
            return part
        written = self.go(inner)
        if not (self._tsql or self._times.is_difference(inner)):  # PostgreSQL rounds where SQLite cuts
            written = exp.Anonymous(this="TRUNC", expressions=[exp.cast(written, exp.DType.DECIMAL)])
        return exp.cast(written, exp.DType.BIGINT)

    def _divide(self, node: exp.Expr) -> exp.Expr:
        divisor = node.expression
        never_zero = isinstance(divisor, exp.Literal) and float(divisor.this) != 0
        return self._with(node, safe=not never_zero)

    def _paste(self, node: exp.Expr) -> exp.Expr:
        for side in (node.this, node.expression):
            cast = isinstance(side, exp.Cast) and side.to.this == exp.DType.TEXT
            if not (cast or _texts(side) or isinstance(side, (*_TEXT, exp.DPipe, exp.Paren))):
                raise SqlError(f"{told(node)}: what is pasted is text, so write CAST(… AS TEXT) of anything else")
        kind = exp.Add if self._tsql else exp.DPipe
        return kind(this=self.go(node.this), expression=self.go(node.expression))

    def _length(self, node: exp.Expr) -> exp.Expr:
        written = self.go(node.this)
        if not self._tsql:
            return exp.Length(this=written)
        ended = exp.Add(this=written, expression=exp.Literal.string("."))  # LEN does not count spaces at the end
        return exp.paren(exp.Sub(this=exp.Anonymous(this="LEN", expressions=[ended]), expression=exp.Literal.number(1)))

    def _substring(self, node: exp.Expr) -> exp.Expr:
        start, length = node.args.get("start"), node.args.get("length")
        if length is None or not isinstance(start, exp.Literal) or int(start.this) < 1:
            raise SqlError(f"{told(node)}: substr has three arguments, the second a number from 1")
        return exp.Anonymous(this="SUBSTRING", expressions=[self.go(node.this), self.go(start), self.go(length)])

    def _average(self, node: exp.Expr) -> exp.Expr:
        return exp.Avg(this=exp.cast(self.go(node.this), exp.DType.DOUBLE))  # of integers, SQL Server gives an integer

    def _literal(self, node: exp.Expr) -> exp.Expr:
        wide = self._tsql and node.is_string and not str(node.this).isascii()
        return exp.National(this=node.this) if wide else node.copy()

    def _named_values(self, node: exp.Expr) -> exp.Expr:
        """WITH t (a, b) AS (VALUES …), which the parser makes a SELECT from nameless VALUES: SQL Server wants names."""
        written = self._with(node)
        source = written.this.args.get("from_")
        if self._tsql and source is not None and isinstance(source.this, exp.Values):
            alias = written.args["alias"]
            source.this.set("alias", alias)
            written.set("alias", exp.TableAlias(this=alias.this.copy()))
        return written


def _texts(*nodes: object) -> bool:
    return any(isinstance(node, exp.Literal) and node.is_string for node in nodes)


def _sorted(node: object) -> bool:
    return isinstance(node, exp.Collate)


def told(node: exp.Expr) -> str:
    """A construct by its own text, in SQLite's words and short."""
    text = re.sub(r"\s+", " ", node.sql(dialect="sqlite", comments=False, normalize_functions="lower"))
    return f"'{text if len(text) < 80 else text[:77] + '…'}' ({type(node).__name__})"
