# ruff: noqa: E501  (a case a line, as in a table)
"""Ways to make each stage fail on a canary: the list that `test_canaries.py` runs and `docs/canaries.md` tells.

`python tests/workflow/canary_cases.py > docs/canaries.md` writes the table anew.
"""

import json
import re
import shlex
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

import omop_db
from canaries import LABEL_SQL, NUMBER, TEXT, TEXT_SQL, WORD
from lib import shards, sqltext


@dataclass
class Call:
    """One stage's command as the workflow ran it, to be changed; `folder` (private) holds what is broken."""

    stage: str
    settings: dict[str, Any]
    files: dict[str, list[str]]
    folder: Path
    raw: dict[str, str] = field(default_factory=dict)  # options written as they are

    @classmethod
    def of(cls, words: list[str], folder: Path) -> "Call":
        """From `logged LOG STAGE --name value ...`."""
        files: dict[str, list[str]] = {}
        for word in words[3:]:
            if word.startswith("--"):
                files[word[2:]] = []
            else:
                files[list(files)[-1]].append(word)
        return cls(words[2], json.loads(files.pop("settings")[0]), files, folder)

    def command(self, log: str) -> str:
        options = {"settings": [json.dumps(self.settings)], **self.files} | {k: [v] for k, v in self.raw.items()}
        words = [word for name, values in options.items() for word in (f"--{name}", *values)]
        return shlex.join(["logged", log, self.stage, *words])

    def give(self, name: str, number: int = 0) -> Path:
        """Copies of the input files `name`, which the stage is given in their place; the path of one of them."""
        if not Path(self.files[name][number]).is_relative_to(self.folder):
            new = [self.folder / name / Path(old).parent.name / Path(old).name for old in self.files[name]]
            for old, path in zip(self.files[name], new, strict=True):
                path.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(self.folder.parents[3] / old, path)
            self.files[name] = [str(path) for path in new]
        return Path(self.files[name][number])

    def cut(self, name: str, number: int = 0) -> None:
        """Cut the file off before its end."""
        path = self.give(name, number)
        path.write_bytes(path.read_bytes()[:-200])

    def column(self, name: str, column: str, value: Any = TEXT, number: int = 0) -> None:
        """The same value in all rows of a column, whatever its type was."""
        path = self.give(name, number)
        arrow = path.suffix == ".arrow"
        table = (shards.read_arrow if arrow else shards.read_parquet)(path)
        changed = table.set_column(table.column_names.index(column), column, pa.array([value] * table.num_rows))
        path.unlink()  # it is mapped into memory
        (shards.write_arrow if arrow else shards.write_parquet)(path, changed.schema, [changed])

    def json(self, name: str, change: Callable[[Any], Any], number: int = 0) -> None:
        path = self.give(name, number)
        content = shards.read_json(path)
        path.write_text(json.dumps(change(content) or content), encoding="utf-8")

    def text(self, name: str, content: str, number: int = 0) -> None:
        self.give(name, number).write_text(content, encoding="utf-8")

    def manifest(self, window: str, content: str | None) -> None:
        """The list of jobs has one extract alone, of `window`; its manifest holds `content`, or is not there."""
        name = f"extract/stays/{window}.text"
        job = ["extract", {"cohort": "stays", "kind": "text", "window": window}, f"<private>/{name}.parquet"]
        self.give("jobs").write_text(json.dumps(job) + "\n", encoding="utf-8")
        record = self.folder / f"{name}.parquet.record.jsonl"
        record.parent.mkdir(parents=True)
        shutil.copyfile(self.folder.parents[1] / "canaries/extract/stays/2020.text.parquet.record.jsonl", record)
        if content is not None:
            (self.folder / f"{name}.json").write_text(content, encoding="utf-8")

    def database(self, *statements: str) -> None:
        with closing(sqlite3.connect(self.give("database"))) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()

    def query(self, sql: str) -> None:
        path = self.folder / "own.sql"
        path.write_text(sql, encoding="utf-8")
        self.settings |= {"sql": str(path), "sql_sha256": sqltext.canonical_sql_hash(path)}

    def step(self, body: str) -> None:
        """A cleaning step of the user's own, beside the workflow; the note is its argument `text`."""
        name = f"mine_{abs(hash(body))}"
        source = "import ctypes, logging, multiprocessing, os, resource, subprocess, sys, threading, warnings\n"
        source += (
            f"class Own(BaseException): ...\ndef complain(text): raise ValueError(text)\ndef step(text):\n    {body}"
        )
        (self.folder.parents[3] / f"{name}.py").write_text(source + "\n", encoding="utf-8")
        self.settings["steps"] = [f"{name}:step"]


@dataclass(frozen=True)
class Case:
    """`stage` is made to fail by `how`, the canary standing in `where`; its log says `told`, with this exit status.

    `echoed`: the private log holds the canary, so it would have been told. `of`: which of the stage's commands.
    """

    stage: str
    where: str
    how: str
    told: str
    do: Callable[[Call], Any]
    status: int = 70
    echoed: bool = True
    of: str = ""

    @property
    def name(self) -> str:
        return "-".join(re.findall(r"[\w]+", f"{self.stage} {self.where} {self.how}"))


def _omop(call: Call, kind: str, **changed: Any) -> None:
    """The OMOP cohort on a hospital whose every free text column holds a canary, ids its number."""
    path = call.folder / f"omop {kind}.sqlite"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    stay = {"in": "2014-03-01 10:00", "out": "2014-03-05 12:00", "codes": [f"{WORD}.1"]}
    stay |= {"claims": [(WORD, "2014-03-10", "2014-04-01")], "mark": WORD}
    with omop_db.Hospital(path) as hospital:
        hospital.history({"stays": {1: stay}}, person=NUMBER)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE person SET person_source_value = ?", (TEXT,))
        connection.execute("UPDATE care_site SET care_site_name = ?", (f"{WORD} ward",))
        connection.execute("UPDATE note SET note_text = CAST(? AS TEXT)", (TEXT.encode() + b"\xff",))
        connection.commit()
    call.files["database"] = [str(path)]
    call.settings = omop_db.settings("discharge", kind) | changed


def _extract() -> list[Case]:
    not_utf8 = f"UPDATE stays SET body = CAST('{TEXT}' || x'ff' AS TEXT) WHERE rowid > 300"
    return [
        Case("extract", "label", "text for an integer in a later batch", r"column label_back is not a 64-bit integer.*\(1 rows\)",
             lambda c: c.database(f"UPDATE stays SET outcome = '{TEXT}' WHERE rowid = 399"), 1, False, "labels"),
        Case("extract", "note", "text that is not UTF-8", r"column text is not valid UTF-8.*\(100 rows\)",
             lambda c: c.database(not_utf8), 1, False, "text"),
        Case("extract", "note id", "an infinite number for a text id", r"column note_id is not text.*\(400 rows\)",
             lambda c: c.database("UPDATE stays SET note_id = 9e999"), 1, False, "text"),
        Case("extract", "note", "a driver that quotes the value (json_extract)", r"own\.sql: the database refuses it \(SQLITE_ERROR\)",
             lambda c: c.query(TEXT_SQL.replace("body AS text", "json_extract('{}', body) AS text")), 1, True, "text"),
        Case("extract", "note", "a driver that fails in a later row", r"own\.sql: the database gave up after 200 rows \(SQLITE_ERROR\)",
             lambda c: c.query(TEXT_SQL.replace("body AS text", "CASE WHEN visit_id > 'Qzxcanary-visit-00200' THEN json_extract('{}', body) ELSE body END AS text").replace("ORDER BY visit_id, note_id", "")), 1, True, "text"),
        Case("extract", "the database itself", "no database", r"the database refuses it \(SQLITE_NOTADB\)",
             lambda c: c.text("database", TEXT * 50), 1, False, "text"),
        Case("extract", "note, person, department, code, claim, ids (OMOP)", "text that is not UTF-8", "column text is not valid UTF-8",
             lambda c: _omop(c, "text"), 1, False, "text"),
        Case("extract", "note, person, department, code, claim, ids (OMOP)", "numbers for text ids", "column visit_id is not text",
             lambda c: _omop(c, "labels", id_type="text"), 1, False, "labels"),
    ]  # fmt: skip


def _asked(call: Call, kind: str, sql: str) -> None:
    """The source is asked by another query."""
    call.query(sql)
    own = {name: call.settings.pop(name) for name in ("sql", "sql_sha256")}
    call.settings["cohorts"]["stays"]["queries"][kind] |= own


def _check_source() -> list[Case]:
    refused = r"column label_back is not a 64-bit integer.*\(400 rows\)"
    return [
        Case("check_source", "note", "a driver that quotes the value (json_extract)", r"own\.sql: the database refuses it \(SQLITE_ERROR\)",
             lambda c: _asked(c, "text", TEXT_SQL.replace("body AS text", "json_extract('{}', body) AS text")), 1),
        Case("check_source", "person, department, code, claim, ids", "text for an integer", refused,
             lambda c: _asked(c, "labels", LABEL_SQL.replace("outcome AS", "source_value AS")), 1, False),
    ]  # fmt: skip


def _exclusions(call: Call, sql: str) -> None:
    """The warehouse is asked who has opted out, by this query."""
    call.query(sql)
    call.settings["exclusions"] = {name: call.settings.pop(name) for name in ("sql", "sql_sha256")}


def _refresh() -> list[Case]:
    return [
        Case("refresh", "person, department, code, claim, ids", "a query of more than ids",
             r"source\.exclusions_sql: the query has 2 columns",
             lambda c: _exclusions(c, "SELECT source_value, person_id FROM stays"), 1, False),
        Case("refresh", "note", "a driver that quotes the value (json_extract)",
             r"own\.sql: the database refuses it \(SQLITE_ERROR\)",
             lambda c: _exclusions(c, "SELECT json_extract('{}', body) AS x FROM stays"), 1),
    ]  # fmt: skip


def _own_step() -> list[Case]:
    """A cleaning step of the user's own: whatever a process can do to be heard."""
    ways: list[tuple[str, str, str, int]] = [
        ("`raise ValueError(text)`", "raise ValueError(text)", "builtins.ValueError", 70),
        ("a KeyError, whose message is the value", "return {}[text]", "builtins.KeyError", 70),
        ("an exception named after the text", "raise type(text.split()[0], (ValueError,), {})(text)", "builtins.ValueError", 70),
        ("an exception that is no Exception", "raise Own(text)", r"mine_\d+.Own", 70),
        ("`sys.exit(text)`", "sys.exit(text)", "builtins.SystemExit", 70),
        ("an assertion", "assert not text, text", "builtins.AssertionError", 70),
        ("a warning, a log line, `print`; then a failure",
         "warnings.warn(text); logging.error(text); print(text); print(text, file=sys.stderr); os.write(1, text.encode()); return 1 / 0",
         "builtins.ZeroDivisionError", 70),
        ("C code that writes to descriptor 2", "ctypes.CDLL(None).perror(text.encode()); return 1 / 0", "builtins.ZeroDivisionError", 70),
        ("a thread's exception; then its own", "t = threading.Thread(target=complain, args=(text,)); t.start(); t.join(); return 1 / 0", "builtins.ZeroDivisionError", 70),
        ("an exception in a finalizer; then its own", "type('T', (), {'__del__': lambda s: complain(text)})(); return 1 / 0", "builtins.ZeroDivisionError", 70),
        ("a worker of a pool", "return multiprocessing.get_context('fork').Pool(1).map(complain, [text])", "builtins.ValueError", 70),
        ("a child process", "subprocess.run([sys.executable, '-c', 'import sys; sys.exit(sys.argv[1])', text], check=True)", "subprocess.CalledProcessError", 70),
        ("out of memory (RLIMIT_AS)",
         "resource.setrlimit(resource.RLIMIT_AS, (10**9, 10**9)); kept = [text.encode()]\n    while True: kept.append(kept[-1] * 2)",
         "builtins.MemoryError", 70),
        ("a crash (abort)", "print(text, flush=True); os.abort()", "ended with status 134 before it could say why", 134),
        ("a kill, as when memory runs out", "print(text, flush=True); os.kill(os.getpid(), 9)", "most often because memory ran out", 137),
        ("an immediate end", "print(text, flush=True); os._exit(3)", "ended with status 3 before it could say why", 3),
    ]  # fmt: skip
    silent = ("out of memory (RLIMIT_AS)",)
    return [
        Case("clean", "note", f"own step: {how}", told, lambda c, body=body: c.step(body), status, how not in silent)
        for how, body, told, status in ways
    ]


def _shards() -> list[Case]:
    """Files between the stages that are damaged or hold something else."""

    def parts(content: Any) -> Any:
        return content | {"parts": {TEXT: next(iter(content["parts"].values()))}}

    def reason(call: Call) -> None:
        for column, value in {"step": "label", "reason": TEXT, "part": None}.items():
            call.column("rows", column, value)

    def curve(content: Any) -> None:
        content["parts"]["test"]["auroc"]["value"] = TEXT
        content["parts"]["test"]["n_rows"] = TEXT

    return [
        Case("clean", "extract", "a shard cut off", "is damaged or was cut off: remove it and run again", lambda c: c.cut("text"), 1, False),
        Case("clean", "note", "a struct where text is wanted", "builtins.", lambda c: c.column("text", "text", {"a": TEXT}), echoed=False),
        Case("split", "index time", "text where a time is wanted", "pyarrow.lib.Arrow", lambda c: c.column("labels", "index_time"), echoed=False),
        Case("ledger", "split", "a shard cut off", "is damaged or was cut off: remove it and run again", lambda c: c.cut("split"), 1, False),
        Case("duplicates", "note", "a list where text is wanted", "builtins.", lambda c: c.column("clean", "text", [TEXT]), echoed=False),
        Case("certificate", "leakage", "JSON that is none", "json.decoder.JSONDecodeError", lambda c: c.text("leakage", TEXT), echoed=False),
        Case("inventory", "manifest", "JSON that is none", "json.decoder.JSONDecodeError", lambda c: c.text("clean", TEXT), echoed=False),
        Case("inventory", "manifest", "another key", "builtins.KeyError", lambda c: c.json("clean", lambda _: {TEXT: 1}), echoed=False),
        Case("eligibility", "label", "text where an integer is wanted", "label_back holds a value outside", lambda c: c.column("labels", "label_back"), 1, False),
        Case("eligibility", "reason", "a reason that is none", "400 values of reason_back are not on the list", lambda c: c.column("labels", "reason_back"), 1, False),
        Case("tokenizer", "note", "a list where text is wanted", "builtins.", lambda c: c.column("clean", "text", [TEXT]), echoed=False),
        Case("tokenizer", "ids", "ids of another type", "400 rows of clean have no part in split", lambda c: c.column("split", "visit_id"), 1, False),
        Case("pretokenize", "tokenizer", "a vocabulary that is none", "tokenizer.json is no tokenizer of the tokenizers library",
             lambda c: c.json("tokenizer", lambda t: t["model"].update(vocab={TEXT: TEXT})), 1),
        Case("pretokenize", "note", "a list where text is wanted", "builtins.AttributeError", lambda c: c.column("shard", "text", [TEXT]), echoed=False),
        Case("dataset", "eligible rows", "ids of another type", "pyarrow.lib.ArrowTypeError", lambda c: c.column("rows", "visit_id", NUMBER), echoed=False, of="notes"),
        Case("dataset", "tokens", "a shard cut off", "is damaged or was cut off: remove it and run again", lambda c: c.cut("shards"), 1, False, of="notes"),
        Case("leakage", "part", "a part that is none", "builtins.KeyError", lambda c: c.column("rows", "part")),
        Case("leakage", "manifest", "JSON that is none", "json.decoder.JSONDecodeError", lambda c: c.text("extracts", TEXT), echoed=False),
        Case("flow", "part", "a part that is none", "1 of 1 parts are unknown", lambda c: c.column("rows", "part"), 1, False),
        Case("flow", "reason", "a reason that is none", "400 stays fell out at step label for an unknown reason", reason, 1, False),
        Case("finetune", "label", "text where an integer is wanted", "builtins.ValueError", lambda c: c.column("train", "label")),
        Case("finetune", "tokens", "ids beyond the vocabulary", "there are token ids beyond the model's vocabulary", lambda c: c.column("train", "input_ids", [NUMBER % 2**31]), 1, False),
        Case("finetune", "tokenizer", "a vocabulary that is none", "builtins.Exception",
             lambda c: c.json("tokenizer", lambda t: t["model"].update(vocab={TEXT: TEXT}))),
        Case("baseline", "label", "text where an integer is wanted", "builtins.ValueError", lambda c: c.column("train", "label")),
        Case("baseline", "note", "a list where text is wanted", "builtins.|pyarrow.", lambda c: c.column("train", "text", [TEXT]), echoed=False),
        Case("predict", "model (TF-IDF)", "weights that are not there", "builtins.FileNotFoundError", lambda c: c.json("model", lambda m: m.update(weights=TEXT)), of="tfidf"),
        Case("predict", "model's manifest", "another seed", "the model's manifest tells of another seed than 0",
             lambda c: c.json("model", lambda m: m.update(seed=TEXT), 2), 1, False, "tfidf"),
        Case("predict", "model (transformer)", "an architecture that is none", "builtins.", lambda c: c.json("model", lambda m: m.update(model_type=TEXT)), of="tiny"),
        Case("evaluate", "probability", "text where a number is wanted", "builtins.ValueError", lambda c: c.column("predictions", "p_1"), of="tfidf"),
        Case("evaluate", "ids", "one stay in all rows", "rows repeat a visit_id", lambda c: c.column("predictions", "visit_id"), 1, False, "tfidf"),
        Case("compare", "metrics", "another part", "its metrics have no part test", lambda c: c.json("metrics", parts), 1, False),
        Case("compare", "metrics", "text where a number is wanted", "builtins.TypeError", lambda c: c.json("metrics", curve), echoed=False),
        Case("figures", "metrics", "text where a number is wanted", "builtins.", lambda c: c.json("metrics", curve), echoed=False),
        Case("report", "flow", "another task", "its flow file is of another task", lambda c: c.json("flows", lambda f: f.update(task=TEXT)), 1, False),
        Case("report", "table", "text where a number is wanted", "builtins.", lambda c: c.json("tables", lambda t: t["rows"][0]["auroc"].update(value=TEXT)), echoed=False),
        Case("provenance", "list of jobs", "JSON that is none", "json.decoder.JSONDecodeError", lambda c: c.text("jobs", TEXT), echoed=False),
        Case("provenance", "manifest", "JSON that is none", "json.decoder.JSONDecodeError", lambda c: c.manifest("2020", TEXT), echoed=False),
        Case("provenance", "a manifest's name", "no manifest", "builtins.FileNotFoundError", lambda c: c.manifest(WORD, None)),
        Case("crate", "document", "JSON that is none", "json.decoder.JSONDecodeError", lambda c: c.text("documents", TEXT), echoed=False),
        Case("crate", "document", "a file that is none", r"1 of \d+ files of provenance\.json are not of class aggregate",
             lambda c: c.json("documents", lambda d: d["outputs"].update({f"<results>/{TEXT}": TEXT})), 1, False),
        Case("resolve", "settings", "JSON that is none", "ended with status 2 before it could say why",
             lambda c: c.raw.update(settings="{" + TEXT), 2, False),
        Case("demo_hospital", "settings", "a leak that is none", "leak: names 1 unknown", lambda c: c.settings.update(leak=[TEXT]), 1, False),
    ]  # fmt: skip


CASES = [*_extract(), *_check_source(), *_refresh(), *_own_step(), *_shards()]

HEAD = f"""# Errors that do not talk

A stage's log holds what the stage says itself: progress, its own errors, and of any other exception the type and the
line of ours. Everything else that its process and their children write (exceptions' messages, warnings, log handlers,
`print`, C++ on descriptor 2, crashes) goes to a file of the same name in `logs/` below the private root, its owner's
alone; the log's last line names it, and the traceback in it has the message. By hand, `NOTECAST_LOG=stage.log python
scripts/<stage>.py …` shows it in the terminal.

`tests/workflow/test_canaries.py` runs the workflow on a source whose every text and id is a canary, makes each stage
fail on one, and searches after each failure its log and the terminal, and at the end everything outside the private
root: logs, `results/<name>`, records, `.snakemake`, the working folder, what Snakemake printed, and the HTML of
`snakemake --report`; file names too; unpacked (gzip, zlib, bzip2, xz, zstd, zip, Parquet, Arrow), decoded from base64
and from the escapes of JSON, HTML and URLs, in UTF-8, UTF-16, UTF-32, Latin-1 and hexadecimal. Nothing may be found.
The same search must find the canary where it is: in the private shards, in planted files of each disguise, and, where
the table says so, in the private log: there the failure did quote it.

This table is made of the test's own list ({len(CASES)} cases; `python tests/workflow/canary_cases.py`).

| stage | canary in | made to fail by | the log says (pattern) | status | found in |
|---|---|---|---|---|---|
"""


def page() -> str:
    rows = [
        f"| {c.stage} | {c.where} | {c.how} | `{c.told.replace('|', chr(92) + '|')}` | {c.status} "
        f"| {'its input, its private log' if c.echoed else 'its input'} |"
        for c in CASES
    ]
    return HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    print(page(), end="")
