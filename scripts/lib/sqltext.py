"""SQL as text: its tokens, its identity, its bound parameters, and the check that it is one SELECT and nothing else.

Everything here looks at tokens, so that a `--`, a `;` or a `:name` inside a literal or a quoted identifier is what it
is: text. Nothing connects to anything; the workflow imports this module while it is being parsed.

>>> bind("SELECT * FROM note WHERE kind IN (:kinds) AND text <> ':kinds' -- :kinds", {"kinds": ["a", "b"]})
("SELECT * FROM note WHERE kind IN (?, ?) AND text <> ':kinds'  ", ['a', 'b'])
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

Scalar = str | int | float | bool

_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<comment>--[^\n]*|/\*.*?\*/)
      | (?P<literal>'(?:[^']|'')*')
      | (?P<quoted>"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\])
      | (?P<cast>::)
      | (?P<parameter>:[A-Za-z_]\w*)
      | (?P<placeholder>\?\d*|[@$][A-Za-z_]\w*)
      | (?P<word>\w+)
      | (?P<sign>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_WRITES = re.compile(
    "insert|update|delete|merge|upsert|into|create|drop|alter|truncate|rename|grant|revoke|attach|detach|pragma|vacuum|"
    "reindex|analyze|begin|commit|rollback|savepoint|call|exec|execute|copy|load",
    re.IGNORECASE,
)


class SqlError(ValueError):
    """What is wrong with a query's text; names taken from the text, never from data."""


@cache
def tokens(sql: str) -> tuple[tuple[str, str], ...]:
    """(kind, text) pairs that together are `sql`, character by character.

    Raises SqlError where a literal, a quoted identifier or a comment is not closed.
    """
    found = []
    for match in _TOKEN.finditer(sql):
        kind = str(match.lastgroup)
        text = match.group()
        if kind == "sign" and (text in "'\"`[" or (text == "/" and sql.startswith("/*", match.start()))):
            line = sql.count("\n", 0, match.start()) + 1
            raise SqlError(f"line {line}: {'/*' if text == '/' else text} is opened and not closed")
        found.append((kind, text))
    return tuple(found)


def significant(sql: str) -> list[tuple[str, str]]:
    """The tokens without spaces, comments and semicolons at the end."""
    kept = [token for token in tokens(sql) if token[0] not in ("space", "comment")]
    while kept and kept[-1] == ("sign", ";"):
        kept.pop()
    return kept


def canonical_sql_hash(path: Path) -> str:
    """SHA-256 (hexadecimal) of the query in `path`, equal when only comments, line breaks or indentation differ."""
    content = json.dumps([text for _, text in significant(Path(path).read_text(encoding="utf-8"))])
    return hashlib.sha256(content.encode()).hexdigest()


def check_single_select(sql: str) -> None:
    """Raise SqlError unless `sql` is one SELECT (or WITH … SELECT) that writes nothing.

    A word that writes is refused anywhere outside quotes, because several databases let a WITH clause write.
    """
    kept = significant(sql)
    if not kept:
        raise SqlError("the file holds no SQL")
    if kept[0][1].lower() not in ("select", "with"):
        raise SqlError(f"it begins with {kept[0][1].upper()}: a query is one SELECT, or WITH … SELECT")
    for kind, text in kept:
        if (kind, text) == ("sign", ";"):
            raise SqlError("there is a ; between two statements: a query is one SELECT")
        if kind == "word" and _WRITES.fullmatch(text):
            raise SqlError(f"the word {text.upper()} stands in it: a query only reads (quote it if it is a column)")
        if kind == "placeholder":
            raise SqlError(f"placeholder {text}: parameters are written :name")
    if not any(kind == "word" and text.lower() == "select" for kind, text in kept):
        raise SqlError("there is no SELECT in it")


def parameters_of(sql: str) -> list[str]:
    """Names of the parameters in `sql`, each once, sorted."""
    return sorted({text[1:] for kind, text in tokens(sql) if kind == "parameter"})


def bind(sql: str, values: Mapping[str, Scalar | list[Scalar]]) -> tuple[str, list[Scalar]]:
    """`sql` with `?` for every `:name` and without comments, and the values in order.

    A list, which must stand as `IN (:name)`, becomes as many `?` as it has entries; an empty one becomes NULL, which
    nothing is IN (and nothing NOT IN either: write CASE WHEN x IN (:name) THEN … ELSE … END).
    Raises SqlError for a name without a value and for a list outside IN ( ).
    """
    missing = [name for name in parameters_of(sql) if name not in values]
    if missing:
        raise SqlError(f"no value for {_names(missing)}: set it under the cohort's parameters (or labels, for clocks)")
    written: list[str] = []
    bound: list[Scalar] = []
    before = ["", "", ""]  # the last three significant tokens
    pieces = [("space", " ") if kind == "comment" else (kind, text) for kind, text in tokens(sql)]
    for position, (kind, text) in enumerate(pieces):
        if kind == "parameter":
            value = values[text[1:]]
            if isinstance(value, list):
                after = next((t for k, t in pieces[position + 1 :] if k != "space"), "")
                if [before[1].lower(), before[2], after] != ["in", "(", ")"]:
                    raise SqlError(f"{text} is a list: write IN ({text})")
                written.append(", ".join("?" * len(value)) or "NULL")
                bound.extend(value)
            else:
                written.append("?")
                bound.append(value)
        else:
            written.append(text)
        if kind != "space":
            before = [*before[1:], text]
    return "".join(written), bound


def inline(sql: str, values: Mapping[str, Scalar | list[Scalar]], national: bool = False) -> str:
    """`sql` with each `:name` written out as a literal and without comments; otherwise as `bind`.

    For a query in its server's own dialect: what is sent is what an administrator sees and can run again. `national`
    writes N'…', which SQL Server needs for characters outside its code page.
    """
    text, bound = bind(sql, values)
    rest = iter(bound)
    pieces = (_literal(next(rest), national) if kind == "placeholder" else piece for kind, piece in tokens(text))
    return "".join(pieces)


def _literal(value: Scalar, national: bool) -> str:
    if isinstance(value, str):
        if "\0" in value:
            raise SqlError("a parameter holds a NUL character")
        return ("N'" if national else "'") + value.replace("'", "''") + "'"
    return str(int(value)) if isinstance(value, bool) else repr(value)


def share(queries: Iterable[str], parameters: Iterable[str]) -> list[list[str]]:
    """For each query of a cohort the names among `parameters` that it uses, sorted.

    A job that gets only those is not run again when a parameter of the other query changes.
    Raises SqlError for a name that no query uses: it would be a setting without effect.
    """
    used = [parameters_of(sql) for sql in queries]
    given = sorted(set(parameters))
    idle = [name for name in given if not any(name in names for names in used)]
    if idle:
        raise SqlError(f"{_names(idle)} is in the configuration and in no query: remove it, or use it as :{idle[0]}")
    return [[name for name in given if name in names] for names in used]


def _names(names: list[str]) -> str:
    return ", ".join(f":{name}" for name in names)
