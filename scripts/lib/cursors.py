"""How rows leave a server over ODBC: in batches, in memory that does not follow their number.

Both ways of reading give an empty batch once the query runs and its cursor knows the columns, then the rows.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

Batches = Iterator[list[tuple[Any, ...]]]


def streamed(cursor: Any, text: str, bound: list[Any], batch_rows: int) -> Batches:
    """The rows as the driver streams them."""
    cursor.execute(text, *bound)
    yield []
    while batch := cursor.fetchmany(batch_rows):
        yield batch
    cursor.close()


def fetched(cursor: Any, text: str, bound: list[Any], batch_rows: int) -> Batches:
    """By a cursor of PostgreSQL's; a thread waits for the next rows while these are worked on.

    psqlodbc would make such a cursor itself (UseDeclareFetch), but then it crashes when the connection is lost in the
    middle of an answer (13.02), and hides why a query ended after its first rows. The thread spends its time in the
    driver, which has let go of Python's lock. One at a time in a session; whoever has seen enough closes it.
    """
    try:
        cursor.execute("BEGIN")
        cursor.execute(f"DECLARE notecast NO SCROLL CURSOR FOR {text}", *bound)
        with ThreadPoolExecutor(1) as ahead:
            ahead.submit(cursor.execute, f"FETCH {batch_rows} FROM notecast").result()
            yield []
            while batch := cursor.fetchall():
                coming = ahead.submit(cursor.execute, f"FETCH {batch_rows} FROM notecast")
                yield batch
                coming.result()
    finally:
        with suppress(Exception):  # the connection may be gone; what was wrong is on its way up
            cursor.execute("ROLLBACK")  # which ends the cursor; there was nothing to commit


def take_utf8(connection: Any) -> None:
    """Take text as UTF-8 where the driver gives it, for a tenth less work than the UTF-16 that is always right.

    What psqlodbc gives is in the encoding of the process's locale: so it is asked first for characters of two kinds.
    """
    import pyodbc

    connection.setdecoding(pyodbc.SQL_WCHAR, encoding="utf-8", ctype=pyodbc.SQL_CHAR)
    with suppress(pyodbc.Error, UnicodeError):  # neither the locale nor the server need know them
        if connection.execute("SELECT chr(233) || chr(128512)").fetchval() == "é😀":
            return
    connection.setdecoding(pyodbc.SQL_WCHAR, encoding="utf-16le", ctype=pyodbc.SQL_WCHAR)
