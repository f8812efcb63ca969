"""Notes per second from PostgreSQL to zstd Parquet over ODBC, side by side: ours, pandas.read_sql, arrow-odbc.

    python benchmarks/extract_odbc.py [--sizes 5000 20000 60000] [--rounds 3]

A PostgreSQL behind Kerberos of the benchmark's own (tests/services) holds notes of about 6 kB with characters outside
the BMP, quotes, backslashes and line ends. Each way reads the same query of the contract's nine columns in a process of
its own, in turn, and what it wrote is compared with what was put in (SHA-256 over ids and texts).
  ours        the extract stage: a server-side cursor by 1,000 rows, every check of the contract, a hash of each row,
              Parquet by row groups
  pandas      read_sql of the whole window, to_parquet; checks nothing
  arrow-odbc  batches of 200 rows, written as they come; checks nothing. It needs to be told the longest text, and fails
              on a longer one; its buffers have rows × that length. Where the locale is not UTF-8 it fails too
Times start after the imports; CPU is the client's alone; memory is the process's peak, and in brackets what it holds
after its imports. Where the ticket lets it, libpq encrypts what it reads, so that each way pays for that too.
"""

import argparse
import hashlib
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests" / "services")]

DATABASE, LONGEST = "benchmark", 40_000
SQL = """
SELECT note_id / 2 AS visit_id, note_id, note_id / 2 AS person_id, filed AS index_time, filed AS note_time,
    'filed' AS note_time_kind, 'second' AS note_time_precision, 'note' AS note_role, text
FROM note
WHERE filed >= {start} AND filed < {end} AND note_id < {size}
ORDER BY note_id
"""
WINDOW = ("2014-01-01 00:00:00", "2015-01-01 00:00:00")


def notes(number: int) -> Iterator[str]:
    """Notes of about 6 kB: lines of words, and all that a driver might get wrong."""
    source = random.Random(0)
    words = ["patient", "stable", "dyspnoea", "Fieber 39,2 °C", "it's", '"quoted"', "C:\\temp", "😀", "𝛼-blocker"]
    words += [f"value {n}" for n in range(200)]
    lines = [" ".join(source.choices(words, k=12)) + source.choice(["\n", "\r\n", "\t"]) for _ in range(5_000)]
    for _ in range(number):
        yield "".join(source.choices(lines, k=max(1, round(source.gauss(62, 20)))))


def ours(connection: str, size: int, output: Path) -> Callable[[], object]:
    import extract
    from lib import optouts, sqltext, stage

    query, database, exclusions = (output.with_suffix(suffix) for suffix in (".sql", ".server.json", ".txt"))
    query.write_text(SQL.format(start=":window_start", end=":window_end", size=size), encoding="utf-8")
    server = {"connection": connection, "dialect": "postgres", "secrets": {}, "kerberos": None, "retries": 0}
    database.write_text(json.dumps(server | {"pause_seconds": 1, "login_seconds": 30, "lock_seconds": 60}))
    optouts.publish(exclusions, [])
    settings = {"kind": "text", "sql": str(query), "sql_sha256": sqltext.canonical_sql_hash(query), "parameters": {}}
    settings |= {"id_type": "integer", "window_start": WINDOW[0], "window_end": WINDOW[1], "dialect": "postgres"}
    files = {"database": database, "exclusions": exclusions, "shard": output, "manifest": output.with_suffix(".json")}
    files["fetched"] = output.with_suffix(".fetched.parquet")
    stage._leave_pandas_out()  # as `stage.run` does
    return lambda: extract.main(stage.Job(settings, files))


def written_out(size: int) -> str:
    return SQL.format(start=f"'{WINDOW[0]}'", end=f"'{WINDOW[1]}'", size=size)


def pandas(connection: str, size: int, output: Path) -> Callable[[], object]:
    import warnings

    import pandas
    import pyodbc

    warnings.filterwarnings("ignore", message="pandas only supports SQLAlchemy")

    def run() -> None:
        frame = pandas.read_sql(written_out(size), pyodbc.connect(connection))
        frame.to_parquet(output, compression="zstd")

    return run


def arrow_odbc(connection: str, size: int, output: Path) -> Callable[[], object]:
    import arrow_odbc
    import pyarrow.parquet

    options = f";UseDeclareFetch=1;Fetch=1000;MaxLongVarcharSize={LONGEST}"

    def run() -> None:
        batches = arrow_odbc.read_arrow_batches_from_odbc(
            written_out(size), connection + options, batch_size=200, max_text_size=LONGEST
        )
        with pyarrow.parquet.ParquetWriter(output, batches.schema, compression="zstd") as writer:
            for batch in batches:
                writer.write_batch(batch)

    return run


WAYS = {"ours": ours, "pandas": pandas, "arrow-odbc": arrow_odbc}


def megabytes() -> float:
    """The peak of this process, or of a child in which it worked; getrusage would count what our parent held."""
    status = Path("/proc/self/status").read_text()
    ours = int(status.split("VmHWM:")[1].split()[0])
    return max(ours, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1024


def cpu() -> float:
    """CPU seconds of this process and of children that have ended."""
    return sum(os.times()[:4])


def one(way: str, connection: str, size: int, output: Path) -> None:
    """One way in this process; its seconds and megabytes as JSON."""
    run = WAYS[way](connection, size, output)
    imported, spent, start = megabytes(), cpu(), time.perf_counter()
    run()
    seconds = {"seconds": time.perf_counter() - start, "cpu": cpu() - spent}
    print(json.dumps(seconds | {"peak": megabytes(), "imported": imported}))


def fingerprint(rows: Iterator[tuple[int, str]]) -> str:
    digest = hashlib.sha256()
    for key, text in rows:
        digest.update(f"{key}\0{text}\0".encode())
    return digest.hexdigest()


def read(path: Path) -> Iterator[tuple[int, str]]:
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=1_000, columns=["note_id", "text"]):
            yield from zip(batch["note_id"].to_pylist(), batch["text"].to_pylist(), strict=True)


def fill(server: Any, number: int) -> None:
    """The notes, in one table that the researcher may read."""
    import omop

    server.create_database(DATABASE)
    server.sql("CREATE TABLE note (note_id BIGINT PRIMARY KEY, filed TIMESTAMP, text TEXT)", DATABASE)
    part: list[tuple[int, str, str]] = []
    for key, text in enumerate(notes(number)):
        part.append((key, "2014-03-05 12:00:00", text))
        if len(part) == 5_000 or key == number - 1:
            server.sql(omop.copied("note", ("note_id", "filed", "text"), part), DATABASE)
            part = []
    server.sql("ANALYZE", DATABASE)
    omop.grant(server, DATABASE)


def measured(connection: str, size: int, rounds: int, folder: Path) -> dict[str, list[dict[str, float]]]:
    """All ways in turn, `rounds` times; every output is compared with what was put in."""
    expected = fingerprint(enumerate(notes(size)))
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way, results in found.items():
            output = folder / "notes.parquet"
            command = [sys.executable, __file__, "--one", way, connection, str(size), str(output)]
            results.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
            assert fingerprint(read(output)) == expected, f"{way}: the texts are not intact"
    return found


def tell(size: int, text_bytes: int, found: dict[str, list[dict[str, float]]]) -> None:
    print(f"{size:,} notes, {text_bytes / 1e6:,.0f} MB of text; ids and texts equal each way", flush=True)
    for way, results in found.items():
        middle = {name: statistics.median(one[name] for one in results) for name in results[0]}
        ratios = sorted(ours["seconds"] / one["seconds"] for ours, one in zip(found["ours"], results, strict=True))
        print(
            f"  {way:<12}{size / middle['seconds']:7,.0f} notes/s {text_bytes / middle['seconds'] / 1e6:6.1f} MB/s"
            f" {middle['cpu']:6.2f} s of CPU  peak {middle['peak']:6,.0f} MB (imports {middle['imported']:.0f})"
            f"  ours takes {ratios[0]:.2f} to {ratios[-1]:.2f} of its time",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[5_000, 20_000, 60_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", nargs=4, metavar=("WAY", "CONNECTION", "SIZE", "OUTPUT"), help="one way, as JSON")
    options = parser.parse_args()
    if options.one:
        way, connection, size, output = options.one
        one(way, connection, int(size), Path(output))
        return

    import pytest

    from kerberos import Kerberos
    from postgres import Postgres

    try:
        centre = Kerberos()
        server = Postgres(centre)
    except pytest.skip.Exception as missing:
        print(f"left out: {missing}")
        return
    with tempfile.TemporaryDirectory() as folder:
        try:
            centre.kinit(Path(folder) / "ticket")
            os.environ |= centre.environment(Path(folder) / "ticket")
            fill(server, max(options.sizes))
            for size in options.sizes:
                text_bytes = sum(len(text.encode()) for text in notes(size))
                tell(size, text_bytes, measured(server.connection_string(DATABASE), size, options.rounds, Path(folder)))
        finally:
            server.end()
            centre.end()


if __name__ == "__main__":
    main()
