"""How SQLite's words for times are written on a server: as typed values, so that an index on a date column serves.

`datetime`, `date`, `julianday`, `strftime` and a time pasted to a date (`date(x) || ' 23:59:59'`) have forms that mean
the same everywhere; `workflow/sql/README.md` lists them with what they become.
"""

import re
from collections.abc import Callable

from sqlglot import exp

from lib.sqltext import SqlError

UNITS = ("day", "hour", "minute", "second")
_CLOCK = re.compile(r" (\d\d):(\d\d):(\d\d)")
_STEP = re.compile(r"([+-])(\d+) (\w+)")
# strftime's format: PostgreSQL's, and where it stands in 'YYYY-MM-DD'
_FORMATS = {
    "%Y": ("YYYY", 1, 4),
    "%m": ("MM", 6, 2),
    "%d": ("DD", 9, 2),
    "%Y-%m": ("YYYY-MM", 1, 7),
    "%m-%d": ("MM-DD", 6, 5),
    "%Y-%m-%d": ("YYYY-MM-DD", 1, 10),
}
_PARTS = {"%Y": "YEAR", "%m": "MONTH", "%d": "DAY"}
_FROM_NUMBERS = "%04d-%02d-%02d"


def moment(written: exp.Expr) -> exp.Expr:
    """`datetime(written)` as the parser reads it."""
    return exp.Anonymous(this="DATETIME", expressions=[written])


class Times:
    """The rules of the table above; `go` rewrites what stands inside them."""

    def __init__(self, tsql: bool, go: Callable[[exp.Expr], exp.Expr]) -> None:
        self._tsql = tsql
        self._go = go

    def written(self, node: exp.Expr) -> exp.Expr | None:
        """`node` for the server if it is one of SQLite's words for times; None for anything else.

        Raises SqlError for such a word in a form that is not known.
        """
        name, arguments = _call(node)
        if name == "datetime" and arguments:
            return self._later(self._time(self._go(arguments[0])), arguments[1:], UNITS)
        if name == "date" and arguments:
            return self._later(self._day(arguments[0]), arguments[1:], ("day",))
        if isinstance(node, exp.DPipe) and isinstance(node.expression, exp.Literal):
            clock = _CLOCK.fullmatch(str(node.expression.this))
            if clock and not isinstance(node.this, exp.DPipe):
                return self._on_day(node.this, [int(part) for part in clock.groups()])
        if self.is_difference(node):
            later, earlier = (self._day(_call(side)[1][0]) for side in (node.this, node.expression))
            if self._tsql:
                return _function("DATEDIFF", exp.var("DAY"), earlier, later)
            return exp.paren(exp.Sub(this=later, expression=earlier))
        if isinstance(node, exp.TimeToStr):
            return self._text(node)
        if name in ("datetime", "date", "julianday", "printf", "format"):
            raise SqlError(f"{name}(…) in a form that is not known for this server: see workflow/sql/README.md")
        return None

    def is_difference(self, node: exp.Expr) -> bool:
        """julianday(date(a)) - julianday(date(b))"""
        if not isinstance(node, exp.Sub):
            return False
        sides = [_call(side) for side in (node.this, node.expression)]
        return all(name == "julianday" and len(a) == 1 and _call(a[0])[0] == "date" for name, a in sides)

    def part(self, node: exp.Expr) -> exp.Expr | None:
        """The year, month or day of a time as an integer, of `strftime('%Y', x)` inside a CAST; else None."""
        if not isinstance(node, exp.TimeToStr) or str(node.args["format"].this) not in _PARTS:
            return None
        unit = exp.var(_PARTS[str(node.args["format"].this)])
        time = self._go(node.this.this)
        if self._tsql:
            return _function("DATEPART", unit, time)
        return exp.cast(exp.Extract(this=unit, expression=time), exp.DType.BIGINT)

    def _time(self, written: exp.Expr) -> exp.Expr:
        return exp.cast(
            written, "DATETIME2" if self._tsql else "TIMESTAMP", dialect="tsql" if self._tsql else "postgres"
        )

    def _day(self, node: exp.Expr) -> exp.Expr:
        name, arguments = _call(node)
        if name == "date":
            return self._go(node)
        if name == "printf" and len(arguments) == 4 and str(arguments[0].this) == _FROM_NUMBERS:
            return self._from_numbers(*(self._go(number) for number in arguments[1:]))
        return exp.cast(self._go(node), exp.DType.DATE)

    def _from_numbers(self, year: exp.Expr, month: exp.Expr, day: exp.Expr) -> exp.Expr:
        """Counted from 1 January, so that 30 February is a day in March, as in SQLite, and not the query's end."""
        one = exp.Literal.number(1)
        months, days = (exp.Sub(this=_inside(n), expression=one.copy()) for n in (month, day))
        january = _function("DATEFROMPARTS" if self._tsql else "MAKE_DATE", year, one.copy(), one.copy())
        if self._tsql:
            return _function("DATEADD", exp.var("DAY"), days, _function("DATEADD", exp.var("MONTH"), months, january))
        in_month = exp.Add(this=january, expression=exp.Mul(this=exp.paren(months), expression=_interval("month")))
        return exp.Add(this=exp.cast(in_month, exp.DType.DATE), expression=exp.paren(days))

    def _on_day(self, node: exp.Expr, clock: list[int]) -> exp.Expr:
        day, seconds = self._day(node), clock[0] * 3600 + clock[1] * 60 + clock[2]
        if seconds == 0:
            return self._time(day)
        if self._tsql:
            return _function("DATEADD", exp.var("SECOND"), exp.Literal.number(seconds), self._time(day))
        time = exp.cast(exp.Literal.string("{:02d}:{:02d}:{:02d}".format(*clock)), exp.DType.TIME)
        return exp.paren(exp.Add(this=day, expression=time))

    def _later(self, start: exp.Expr, steps: list[exp.Expr], allowed: tuple[str, ...]) -> exp.Expr:
        for step in steps:
            back, number, unit = self._step(step, allowed)
            if self._tsql:
                start = _function("DATEADD", exp.var(unit.upper()), exp.Neg(this=number) if back else number, start)
                continue
            if allowed != ("day",):
                number = exp.Mul(this=number, expression=_interval(unit))
            elif number.find(exp.Column):
                number = exp.cast(number, exp.DType.INT)  # a date moves by an INTEGER, not by a BIGINT
            start = exp.paren((exp.Sub if back else exp.Add)(this=start, expression=number))
        return start

    def _step(self, node: exp.Expr, allowed: tuple[str, ...]) -> tuple[bool, exp.Expr, str]:
        """Whether back in time, a number (an expression) and its unit, of '-365 days' or of '+' || n || ' hours'."""
        if isinstance(node, exp.Literal):
            match = _STEP.fullmatch(str(node.this))
            sign, number, unit = match.groups() if match else ("", "", "")
            amount: exp.Expr = exp.Literal.number(number)
        elif isinstance(node, exp.DPipe) and isinstance(node.this, exp.DPipe):
            sign, unit = str(node.this.this.name), str(node.expression.name).removeprefix(" ")
            amount = _inside(self._go(node.this.expression))
        else:
            sign = ""
        if sign not in ("+", "-") or unit.removesuffix("s") not in allowed or _fraction(amount):
            units = ", ".join(f"{unit}s" for unit in allowed)
            raise SqlError(f"a time is moved by '+' || n || ' days' (or '-'; {units}) with a whole number n")
        return sign == "-", amount, unit.removesuffix("s")

    def _text(self, node: exp.Expr) -> exp.Expr:
        wanted, time = str(node.args["format"].this), self._go(node.this.this)
        if wanted not in _FORMATS:
            raise SqlError(f"strftime('{wanted}', …): only {', '.join(_FORMATS)} are the same on every server")
        pattern, start, length = _FORMATS[wanted]
        if not self._tsql:
            return _function("TO_CHAR", time, exp.Literal.string(pattern))
        day = _function("CONVERT", _function("VARCHAR", exp.Literal.number(10)), time, exp.Literal.number(23))
        return _function("SUBSTRING", day, exp.Literal.number(start), exp.Literal.number(length))


def _call(node: exp.Expr) -> tuple[str, list[exp.Expr]]:
    """Name, in small letters, and arguments of a call that the parser has no class for, or of date(x)."""
    if isinstance(node, exp.Date):
        return "date", [node.this, *node.expressions] if node.this else []
    if isinstance(node, exp.Anonymous):
        return str(node.this).lower(), list(node.expressions)
    return "", []


def _function(name: str, *arguments: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this=name, expressions=list(arguments))


def _interval(unit: str) -> exp.Expr:
    return exp.Interval(this=exp.Literal.string("1"), unit=exp.var(unit.upper()))


def _inside(node: exp.Expr) -> exp.Expr:
    return node if isinstance(node, exp.Literal | exp.Column | exp.Paren | exp.Anonymous) else exp.paren(node)


def _fraction(node: exp.Expr) -> bool:
    return any(not n.is_string and not str(n.this).isdigit() for n in node.find_all(exp.Literal))
