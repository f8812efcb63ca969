"""One read-only connection to where the notes are, and one query streamed through it in batches.

A source is a SQLite file, or the description of a server (a .json, see `odbc`). Rows arrive in batches, and what a
driver says about its failures is not repeated, because drivers quote the values they stumble over.
"""

import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from lib import attempts, kerberos, odbc, sqltext
from lib.contract import NOT_UTF8
from lib.files import read_json
from lib.stage import StageError

Connection = sqlite3.Connection | odbc.Session

# What SQLite says of a query's own text; the name is repeated only if it stands in that text.
_OF_THE_TEXT = (
    (re.compile(r'near "([^"]+)": syntax error'), "there is a syntax error near {}"),
    (re.compile(r"no such table: (\S+)"), "the database has no table {}"),
    (re.compile(r"no such column: (\S+)"), "the database has no column {}"),
    (re.compile(r"no such function: (\S+)"), "the database has no function {}"),
    (re.compile(r"ambiguous column name: (\S+)"), "column {} is in several tables: say which"),
)


@contextmanager
def connect(source: Path) -> Iterator[Connection]:
    """A read-only connection to the SQLite file, or the server described by the .json, `source`; closed at the end.

    Raises StageError if there is none; PassingError (of `attempts`) where another try may help.
    """
    source = Path(source)
    if not source.is_file():
        raise StageError(f"there is no database {source.name}: check source.sqlite")
    if source.suffix == ".json":
        with odbc.connect(source) as session:
            yield session
        return
    uri = f"{source.resolve().as_uri()}?mode=ro"
    try:
        connection = sqlite3.connect(uri, uri=True, isolation_level=None)
    except sqlite3.Error as error:
        raise StageError(f"database {source.name} cannot be opened ({_kind(error)})") from None
    with closing(connection):
        connection.text_factory = _decoded
        yield connection


def ticket_seconds(source: Path) -> float | None:
    """For how long the Kerberos ticket lives with which `source` is asked; None where there is none, or a keytab."""
    block = read_json(source).get("kerberos") if Path(source).suffix == ".json" else None
    return kerberos.remaining() if block and not block.get("keytab") else None


def repeated(source: Path, attempt: Callable[[], Any], say: Callable[[str], None]) -> Any:
    """What `attempt` returns (JSON); of a server what may pass is tried again, as its description says."""
    if Path(source).suffix != ".json":
        return attempt()
    block = read_json(source)
    return attempts.repeated(attempt, block["retries"], block["pause_seconds"], say)


def stream(
    connection: Connection, sql: str, parameters: Mapping[str, Any], batch_rows: int, name: str, written: str = "sqlite"
) -> tuple[list[str], Iterator[list[tuple[Any, ...]]]]:
    """Column names, and batches of at most `batch_rows` rows of the one SELECT in `sql`; `name` is told in errors.

    The query is `written` in SQLite's dialect, which every source understands (`dialects`), or in its server's own.
    Text that is not UTF-8 arrives as `contract.NOT_UTF8`. Raises StageError for a query that is not one SELECT, a
    parameter without a value or a value without its parameter (by name), and whatever the database refuses.
    """
    try:
        sqltext.check_single_select(sql)
        idle = sorted(set(parameters) - set(sqltext.parameters_of(sql)))
        if idle:
            raise sqltext.SqlError(f"it does not use {', '.join(':' + n for n in idle)}: remove it, or use it")
        if isinstance(connection, odbc.Session):
            return connection.stream(sql, parameters, written, batch_rows, name)
        if written != "sqlite":
            raise sqltext.SqlError(f"it is written for {written}, and the source is a SQLite file")
        text, values = sqltext.bind(sql, parameters)
    except sqltext.SqlError as error:
        raise StageError(f"{name}: {error}") from None
    try:
        cursor = connection.execute(text, values)
    except (sqlite3.Error, sqlite3.Warning) as error:
        raise StageError(f"{name}: {explained(error, sql)}") from None
    return [column[0] for column in cursor.description], _batches(cursor, batch_rows, name)


def tables_read(connection: Connection, sql: str, parameters: Mapping[str, Any]) -> set[str]:
    """Names of the tables that the SELECT in `sql` draws on, those below views included; nothing is run."""
    assert isinstance(connection, sqlite3.Connection), "the replay has a copy of a SQLite file"
    text, values = sqltext.bind(sql, parameters)
    read: set[str] = set()

    def look(action: int, name: str | None, *_: Any) -> int:
        if action == sqlite3.SQLITE_READ and name:
            read.add(name.lower())
        return sqlite3.SQLITE_OK

    connection.set_authorizer(look)
    try:
        connection.execute(f"EXPLAIN {text}", values)
    finally:
        connection.set_authorizer(None)
    kept = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    return read & {str(name).lower() for (name,) in kept}


def _batches(cursor: sqlite3.Cursor, batch_rows: int, name: str) -> Iterator[list[tuple[Any, ...]]]:
    fetched = 0
    while True:
        try:
            batch = cursor.fetchmany(batch_rows)
        except (sqlite3.Error, OverflowError) as error:
            raise StageError(
                f"{name}: the database gave up after {fetched} rows ({_kind(error)}): run the query by hand"
            ) from None
        if not batch:
            return
        fetched += len(batch)
        yield batch


def _decoded(value: bytes) -> Any:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return NOT_UTF8


def explained(error: Exception, sql: str) -> str:
    """What SQLite found wrong with `sql`, in our words: it quotes values, and its message is not repeated."""
    words = {text.strip('"`[]') for _, text in sqltext.significant(sql)}
    for pattern, told in _OF_THE_TEXT:
        match = pattern.fullmatch(str(error))
        if match and set(match.group(1).split(".")) <= words:
            return told.format(match.group(1))
    return f"the database refuses it ({_kind(error)}): run the query by hand"


def _kind(error: Exception) -> str:
    return str(getattr(error, "sqlite_errorname", "") or type(error).__name__)
