"""An extract job on a table of letters in a PostgreSQL, called as the workflow calls it: a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import omop
from lib import sqltext
from lib.files import write_json
from postgres import RESEARCHER, Postgres

ROOT = Path(__file__).resolve().parents[2]
QUERY = """
SELECT letter AS visit_id, letter AS note_id, patient AS person_id, signed AS index_time, signed AS note_time,
    'filed' AS note_time_kind, 'second' AS note_time_precision, 'note' AS note_role, body AS text
FROM letters
WHERE signed >= :window_start AND signed < :window_end
ORDER BY letter
"""


def letters(
    postgres: Postgres, database: str = "letters", rows: int = 20_000, body: str = "repeat('word ', 400)"
) -> None:
    """A table of `rows` letters of 2 kB, all in 2020, which the two users may read."""
    postgres.create_database(database)
    postgres.sql(
        "CREATE TABLE letters (letter BIGINT PRIMARY KEY, patient BIGINT, signed TIMESTAMP, body TEXT);"
        f"INSERT INTO letters SELECT g, g % 100, '2020-01-01 10:00:00', {body} FROM generate_series(1, {rows}) AS g",
        database,
    )
    omop.grant(postgres, database)


def described(connection: str, **changed: Any) -> dict[str, Any]:
    """The description of a server that jobs open, with waiting times for tests."""
    block = {"connection": connection, "dialect": "postgres", "secrets": {}, "kerberos": None}
    return block | {"retries": 0, "pause_seconds": 0.2, "login_seconds": 5, "lock_seconds": 1} | changed


def plain(postgres: Postgres, database: str, port: int | None = None, user: str = RESEARCHER) -> str:
    """The connection string as a user would write it: what streaming needs is ours to add."""
    given = postgres.connection_string(database, port, user)
    return ";".join(part for part in given.split(";") if not part.startswith(("UseDeclareFetch", "Fetch", "ReadOnly")))


class ServerJob:
    """The job in `folder`: `start` it, or `run` it to its end. `sqlite`: a file to read in place of the server."""

    def __init__(
        self,
        folder: Path,
        block: dict[str, Any],
        query: str = QUERY,
        batch_rows: int = 500,
        sqlite: Path | None = None,
        **settings: Any,
    ) -> None:
        self.folder, self.block, self.batch_rows = folder, block, batch_rows
        self.database = sqlite or folder / "server.json"
        self.shard, self.manifest = folder / "shard.parquet", folder / "manifest.json"
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "server.json", block)
        (folder / "exclusions.txt").write_text("0 0\n", encoding="utf-8")
        (folder / "own.sql").write_text(query, encoding="utf-8")
        self.settings = {
            "kind": "text",
            "sql": str(folder / "own.sql"),
            "sql_sha256": sqltext.canonical_sql_hash(folder / "own.sql"),
            "dialect": "postgres",
            "id_type": "integer",
            "window_start": "2020-01-01 00:00:00",
            "window_end": "2021-01-01 00:00:00",
            "parameters": {},
        } | settings

    def start(self, **environment: str) -> "subprocess.Popen[str]":
        files = {"database": str(self.database), "exclusions": "exclusions.txt", "shard": "shard.parquet"}
        files |= {"manifest": "manifest.json", "fetched": "fetched/cohort/2020.text.parquet"}
        command = [sys.executable, str(ROOT / "scripts" / "extract.py"), "--settings", json.dumps(self.settings)]
        for name, file in files.items():
            command += [f"--{name}", str(self.folder / file)]
        neutral = {
            "NOTECAST_NEUTRAL": json.dumps({"batch_rows": self.batch_rows}),
            "NOTECAST_LOG": str(self.folder / "job.log"),
        }
        (self.folder / "job.log").unlink(missing_ok=True)
        with open(self.folder / "private.log", "w", encoding="utf-8") as private:
            return subprocess.Popen(
                command, env=os.environ | neutral | environment, stdout=private, stderr=private, text=True
            )

    def run(self, **environment: str) -> int:
        return self.start(**environment).wait(timeout=120)

    @property
    def log(self) -> str:
        path = self.folder / "job.log"
        return path.read_text(encoding="utf-8") if path.is_file() else ""

    @property
    def temporary(self) -> Path:
        """Where the shard grows; nobody reads it."""
        return self.folder / ".shard.parquet.tmp"

    def whole(self) -> bool:
        """Both files are there, or (False) neither is and nothing is left; anything else fails."""
        there = {path.name for path in self.folder.glob("*.parquet*")} | {path.name for path in self.folder.glob(".*")}
        assert there <= {"shard.parquet", "shard.parquet.record.jsonl"}, there
        assert self.shard.exists() == self.manifest.exists()
        return self.shard.exists()
