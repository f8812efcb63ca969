"""A server asked through ODBC: one read-only session, one query streamed by a server-side cursor.

What the configuration says of the connection lies in a small file below the private root; what is secret is looked up
in the environment when the session opens, and stands nowhere. Drivers quote the values they stumble over, so of their
messages only the SQLSTATE is kept, and a name that stands in the query's own text. pyodbc needs the system's unixODBC,
so only a source that uses it imports it.

The SQLite ODBC driver is a peer for tests: it wraps ids beyond 2^31 and cuts a text at a NUL, without a word.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lib import cursors, kerberos, sqltext
from lib.attempts import PassingError
from lib.cursors import Batches
from lib.files import read_json
from lib.stage import StageError

# Classes and codes of SQLSTATE (ISO 9075; the PostgreSQL manual, appendix A; ODBC's own HYT).
_PASSING = ("08", "57P01", "57P02", "57P03", "53300", "40001", "40P01", "55P03", "HYT00", "HYT01")
_MEANING = {
    "28": "the server does not let this user in: check source.odbc (user, secrets, principal)",
    "3D000": "the server has no such database: check source.odbc.connection",
    "42501": "this user may not read all that the query reads: ask for SELECT on it",
    "57014": "the query was cancelled, by an administrator or the server's time limit: ask before it is run again",
    "55P03": "the query waited too long for a lock",
    "40": "the server chose this query to end a deadlock, or a conflict of transactions",
    "53300": "the server has no connection left",
    "57P": "the server is shutting down or starting",
    # psqlodbc says only this of whatever ended the query after its first rows had come.
    "25P02": "the server ended the query (cancelled, or a value that the query cannot convert): its log says why",
    "25006": "the query wants to write, and the session is read-only",
    "22": "a value in the data does not fit the query's own conversion of it: look at its CASTs",
    "IM002": "there is no such ODBC driver or data source: check source.odbc.connection, and odbcinst -q -d",
    "01000": "the ODBC driver's library cannot be loaded: check source.odbc.connection, and odbcinst -q -d",
    "08": "the connection to the server is lost",
    "HYT": "the server did not answer in time",
}
# What servers say of a query's own text; the name is repeated only if it stands in that text.
_OF_THE_TEXT = (
    (re.compile(r'relation "([^"]+)" does not exist|Invalid object name \'([^\']+)\''), "the database has no table {}"),
    (
        re.compile(r'column "?([^" ]+)"? does not exist|Invalid column name \'([^\']+)\''),
        "the database has no column {}",
    ),
    (re.compile(r'syntax error at or near "([^"]+)"|syntax near \'([^\']+)\''), "there is a syntax error near {}"),
    (re.compile(r"function ([\w.]+)\([^)]*\) does not exist"), "the database has no function {}"),
    (
        re.compile(r"permission denied for \w+ (\w+)|denied on the object '(\w+)'"),
        "this user may not read {}: ask for SELECT on it",
    ),
)
# How a session begins: it only reads, and waits for no lock for ever. psqlodbc's own ReadOnly looks at a statement's
# first word alone, and then drops these settings without telling; so it is off, and the server's is on.
_SETTINGS = "SET default_transaction_read_only = on;SET lock_timeout = '{lock_seconds}s';SET datestyle = 'ISO';"
# Plans are for all rows of a cursor, not for the first tenth of them.
_SETTINGS += "SET cursor_tuple_fraction = 1"
_IS_READ_ONLY = "SELECT current_setting('transaction_read_only')"
_TSQL_SESSION = ("SET LOCK_TIMEOUT {lock_seconds}000", "SET DATEFORMAT ymd")


class Session:
    """An open connection and what is known of its server."""

    def __init__(self, connection: Any, block: Mapping[str, Any]) -> None:
        self.connection, self.block, self.dialect = connection, block, str(block["dialect"])

    def stream(
        self, sql: str, parameters: Mapping[str, Any], written: str, batch_rows: int, name: str
    ) -> tuple[list[str], Batches]:
        """Column names and batches of rows of the one SELECT in `sql`, which is written in dialect `written`."""
        try:
            text, bound = self.text(sql, parameters, written)
        except sqltext.SqlError as error:
            raise StageError(f"{name}: {error}") from None
        cursor = self.connection.cursor()
        rows = cursors.fetched if self.dialect == "postgres" else cursors.streamed
        batches = rows(cursor, text, bound, batch_rows)
        try:
            next(batches)
        except self._errors() as error:
            raise self._failure(error, f"{name}: ", text) from None
        return [column[0] for column in cursor.description], self._told(batches, name)

    def text(self, sql: str, parameters: Mapping[str, Any], written: str) -> tuple[str, list[Any]]:
        """What is sent for `sql`, and the values that go with it: in this server's dialect they stand in the text."""
        if self.dialect == written == "sqlite":
            return sqltext.bind(sql, parameters)
        if self.dialect == written:
            return sqltext.inline(sql, parameters, national=written == "tsql"), []
        from lib import dialects  # 0.2 s, which a SQLite source spares itself

        return dialects.render(sql, parameters, self.dialect), []

    def _told(self, batches: Batches, name: str) -> Batches:
        """The batches; what a driver says of its failure is told in our words."""
        rows = 0
        while True:
            try:
                batch = next(batches, None)
            except self._errors() as error:
                raise self._failure(error, f"{name}: after {rows} rows ", "") from None
            if batch is None:
                return
            rows += len(batch)
            yield batch

    def _failure(self, error: Exception, where: str, text: str) -> StageError:
        return failure(error, where, text, self.block)

    @staticmethod
    def _errors() -> tuple[type[Exception], ...]:
        import pyodbc

        # The driver's encodings and conversions fail as these; MemoryError stays what it is.
        return (pyodbc.Error, UnicodeError, OverflowError, ValueError, SystemError)


@contextmanager
def connect(description: Path) -> Iterator[Session]:
    """A read-only session with the server of `description` (see `Odbc` in config), closed at the end.

    Raises StageError (PassingError where another try may help): no driver, no ticket, no server, no right.
    """
    block = read_json(description)
    pyodbc = _pyodbc()
    kerberos.prepare(block.get("kerberos"))
    pyodbc.pooling = False
    connection: Any = None
    try:
        try:
            text = connection_string(block)
            connection = pyodbc.connect(text, autocommit=True, timeout=block["login_seconds"])
            _begin(connection, block)
        except pyodbc.Error as error:
            raise failure(error, "", "", block) from None
        yield Session(connection, block)
    finally:
        with suppress(pyodbc.Error, AttributeError):  # the server may be gone, or never have been there
            connection.close()


def _begin(connection: Any, block: Mapping[str, Any]) -> None:
    if block["dialect"] == "tsql":
        for statement in _TSQL_SESSION:
            connection.execute(statement.format(lock_seconds=block["lock_seconds"])).close()
    elif block["dialect"] == "postgres" and connection.execute(_IS_READ_ONLY).fetchval() != "on":
        raise StageError("the session is not read-only: something between (a pooler?) has taken the settings away")
    if block["dialect"] == "postgres":
        cursors.take_utf8(connection)


def _pyodbc() -> Any:
    try:
        import pyodbc
    except ImportError:
        raise StageError(
            "ODBC needs the system's unixODBC (Debian: apt install unixodbc) and the server's driver; pyodbc cannot be "
            "loaded without it"
        ) from None
    return pyodbc


def keywords(connection: str) -> dict[str, str]:
    """The keywords of an ODBC connection string, as written, with their values, braces included.

    >>> keywords("Driver={PostgreSQL Unicode};Server=db;Password={a;b}")
    {'Driver': '{PostgreSQL Unicode}', 'Server': 'db', 'Password': '{a;b}'}
    """
    pairs = re.findall(r"([^=;]+)=(\{(?:[^}]|\}\})*\}|[^;]*)(?:;|$)", connection)
    return {keyword.strip(): value.strip() for keyword, value in pairs}


def connection_string(block: Mapping[str, Any]) -> str:
    """The configuration's string, with the secrets of the environment and what streaming needs."""
    given = keywords(block["connection"])
    known = {keyword.lower(): value for keyword, value in given.items()}
    added, ours = {}, {}
    if block["dialect"] == "postgres":
        # Without keepalives a lost network is noticed after hours.
        added = {"LFConversion": "0", "BoolsAsChar": "0"}
        added["pqopt"] = "{keepalives_idle=30 keepalives_interval=10 tcp_user_timeout=60000}"
        settings = [known.get("connsettings", "").strip("{}"), _SETTINGS.format(**block)]
        ours = {"UseDeclareFetch": "0", "ReadOnly": "0", "ConnSettings": "{" + ";".join(filter(None, settings)) + "}"}
    elif block["dialect"] == "tsql":
        ours = {"ApplicationIntent": "ReadOnly"}
    for keyword, variable in block["secrets"].items():
        value = os.environ.get(variable)
        if not value:
            # Not its name: whoever mistakes the key writes the secret itself there.
            raise StageError(f"source.odbc.secrets.{keyword}: the variable of the environment that it names is not set")
        ours[keyword] = "{" + value.replace("}", "}}") + "}"
    taken = {keyword.lower() for keyword in ours}
    parts = [(k, v) for k, v in given.items() if k.lower() not in taken]
    parts += [*((k, v) for k, v in added.items() if k.lower() not in known), *ours.items()]
    return ";".join(f"{keyword}={value}" for keyword, value in parts)


def failure(error: Exception, where: str, text: str, block: Mapping[str, Any]) -> StageError:
    """What a driver's error means, in our words: its SQLSTATE, never its message."""
    state, message = _state(error)
    if re.search("kerberos|gssapi|sspi|credential|ticket", message, re.IGNORECASE) and state[:2] in ("08", "28", "HY"):
        return StageError(f"{where}{kerberos.missing(block.get('kerberos'))}")
    words = {word.strip('"`[]').lower() for _, word in sqltext.tokens(text)}
    for pattern, told in _OF_THE_TEXT:
        match = pattern.search(message)
        name = next((group for group in match.groups() if group), "") if match else ""
        if name and set(name.lower().split(".")) <= words:
            return StageError(f"{where}{told.format(name)}")
    if re.search("password|authentication|pg_hba|role .* does not exist|login failed", message, re.IGNORECASE):
        return StageError(f"{where}{_MEANING['28']} ({state})")
    if re.search('database "[^"]*" does not exist|Cannot open database', message):
        state = "3D000"
    if state == "HY000" and re.search("server closed|could not|connection|communication link", message, re.IGNORECASE):
        state = "08S01"
    for length in (5, 3, 2):
        if state[:length] in _MEANING:
            said = f"{where}{_MEANING[state[:length]]} ({state})"
            break
    else:
        said = f"{where}the database refuses it ({state}): run the query by hand"
    return PassingError(said) if state.startswith(_PASSING) else StageError(said)


def _state(error: Exception) -> tuple[str, str]:
    """(SQLSTATE, message); of what is no error of the server's, the type's name and nothing."""
    first = str(error.args[0]) if error.args else ""
    if re.fullmatch("[0-9A-Z]{5}", first):
        return first, str(error.args[1]) if len(error.args) > 1 else ""
    return type(error).__name__, ""
