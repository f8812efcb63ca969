"""A PostgreSQL of the tests' own, which lets a researcher in by his Kerberos ticket and a clerk by his password.

On loopback and a socket in its own folder; the superuser `postgres` comes in by the socket only. The server sorts text
as a person would (ICU, en-US), as servers at sites do: a query that needs binary order has to say so. It refuses to run
as root, so for root it runs as the user of the package.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import daemon
from kerberos import Kerberos

if TYPE_CHECKING:
    import pyodbc

PACKAGE = "postgresql"
RESEARCHER, CLERK, PASSWORD = "researcher", "clerk", "Canary-secret-4711"
DRIVERS = {"psqlodbcw": "odbc-postgresql", "libsqlite3odbc": "libsqliteodbc"}

SETTINGS = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{folder}'
krb_server_keyfile = '{folder}/service.keytab'
fsync = off
"""
ACCESS = """
local all postgres                  trust
host  all researcher 127.0.0.1/32   gss include_realm=0
host  all clerk      127.0.0.1/32   scram-sha-256
"""
STOP = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}


def driver(name: str) -> str:
    """The path of an ODBC driver's library, by which a connection string can name it; skips where there is none."""
    found = sorted(Path("/usr/lib").glob(f"*/odbc/{name}.so"))
    if not found:
        pytest.skip(f"there is no ODBC driver {name}: install the package {DRIVERS[name]}")
    return str(found[0])


class Postgres:
    """The running server; `port` stays the same when it is stopped and started again. Call `end`."""

    def __init__(self, kerberos: Kerberos) -> None:
        pytest.importorskip("pyodbc", reason="pyodbc finds no libodbc.so.2: install the package unixodbc")
        self._driver = driver("psqlodbcw")
        programs = {name: daemon.program(name, PACKAGE) for name in ("postgres", "initdb", "psql")}
        self._postgres, self._psql = programs["postgres"], programs["psql"]
        self._user = "postgres" if os.getuid() == 0 else None
        self._kerberos = kerberos
        self.folder = daemon.folder()
        self._data = self.folder / "data"
        shutil.copy(kerberos.service_keytab, self.folder / "service.keytab")
        shutil.copy(kerberos.folder / "krb5.conf", self.folder)  # the centre's folder is closed to another user
        if self._user:
            for path in (self.folder, *self.folder.iterdir()):
                shutil.chown(path, self._user, self._user)
        create = [programs["initdb"], "-D", str(self._data), "-U", "postgres", "--no-sync", "-E", "UTF8"]
        create += ["--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US"]
        done = subprocess.run(
            create, cwd=self.folder, capture_output=True, text=True, check=False, **daemon.as_user(self._user)
        )
        assert done.returncode == 0, done.stderr
        (self._data / "pg_hba.conf").write_text(ACCESS, encoding="utf-8")
        self.port = 0
        while not self._start_at(daemon.free_port()):
            pass
        self.sql(f"CREATE ROLE {RESEARCHER} LOGIN; CREATE ROLE {CLERK} LOGIN PASSWORD '{PASSWORD}'")

    def connection_string(
        self, database: str, port: int | None = None, user: str | None = RESEARCHER, **options: str | int
    ) -> str:
        """For ODBC, without a password; `port`: the proxy's; `user` None leaves it to PGUSER; `options` win."""
        parts: dict[str, str | int] = {"Driver": self._driver, "Server": "localhost", "Port": port or self.port}
        parts |= {"Database": database} | ({"UID": user} if user else {}) | options
        return ";".join(f"{name}={value}" for name, value in parts.items())

    @contextmanager
    def superuser(self, database: str = "postgres", autocommit: bool = True) -> Iterator["pyodbc.Connection"]:
        """A connection that may do everything, to make and change data."""
        import pyodbc

        text = self.connection_string(database, user="postgres", Server=str(self.folder))
        with closing(pyodbc.connect(text, autocommit=autocommit)) as connection:
            yield connection

    def sql(self, statements: str, database: str = "postgres") -> str:
        """Run statements (COPY with its rows too) as the superuser; what they return, a row a line, '|' between."""
        command = [self._psql, "-XqAt", "-v", "ON_ERROR_STOP=1", "-h", str(self.folder), "-p", str(self.port)]
        command += ["-U", "postgres", "-d", database, "-f", "-"]
        done = subprocess.run(command, input=statements.encode(), capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().strip("\n")

    def create_database(self, name: str) -> None:
        """A new empty database, in place of one of that name; the two users may connect, and read what is granted."""
        self.sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        self.sql(f"CREATE DATABASE {name}")
        self.sql(f"REVOKE ALL ON DATABASE {name} FROM PUBLIC")
        self.sql(f"GRANT CONNECT ON DATABASE {name} TO {RESEARCHER}, {CLERK}")

    def backends(self, user: str = RESEARCHER) -> int:
        """How many connections the user has."""
        return int(self.sql(f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{user}'"))

    def terminate(self, user: str = RESEARCHER) -> int:
        """End the user's connections as an administrator does; how many."""
        return int(self.sql(f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = '{user}'"))

    def cancel(self, user: str = RESEARCHER) -> int:
        """Cancel the user's running queries as an administrator does; how many."""
        which = f"usename = '{user}' AND state = 'active'"
        return int(self.sql(f"SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE {which}"))

    @contextmanager
    def locked(self, table: str, database: str) -> Iterator[None]:
        """While this lasts nobody else can read the table: they wait."""
        with self.superuser(database, autocommit=False) as connection:
            connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            yield
            connection.rollback()

    def start(self) -> None:
        """Start again after `stop`, at the same port."""
        assert self._start_at(self.port), (self.folder / "server.log").read_text(encoding="utf-8")

    def stop(self, mode: str = "fast") -> None:
        """'fast' ends all connections in order; 'immediate' is the nearest to pulling the plug."""
        daemon.end(self._server, STOP[mode])

    def end(self) -> None:
        self.stop("immediate")
        shutil.rmtree(self.folder)

    def _start_at(self, port: int) -> bool:
        self.port = port
        settings = SETTINGS.format(port=port, folder=self.folder)
        (self._data / "postgresql.auto.conf").write_text(settings, encoding="utf-8")
        environment = self._kerberos.environment() | {"KRB5_CONFIG": str(self.folder / "krb5.conf")}
        command = [self._postgres, "-D", str(self._data)]
        self._server = daemon.start(command, environment, self.folder / "server.log", self._user)
        return daemon.wait_until(self._ready, self._server)

    def _ready(self) -> bool:
        try:
            self.sql("SELECT 1")
        except AssertionError:
            return False
        return True
