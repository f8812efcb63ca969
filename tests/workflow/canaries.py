"""Canaries: unmistakable values for every column and id of a source, and a search that finds them in any disguise."""

import base64
import bz2
import gzip
import html
import io
import json
import lzma
import re
import sqlite3
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes

import pyarrow as pa
import pyarrow.ipc as ipc
import pyarrow.parquet as pq

WORD, NAME, NUMBER = "Qzxcanary", "Žebülon", 7351907351
TEXT = f"{WORD} {NAME} Quackenbush, MRN {NUMBER}"
STAYS = 400

# --- a source with a canary in every column ----------------------------------------------------------------------

COLUMNS = ("visit_id", "note_id", "person_id", "filed", "department", "code", "claim", "source_value", "age")
COLUMNS += ("outcome", "body")


def source(path: Path) -> Path:
    """A table `stays`: ids are text, every text holds a canary, a few words of the note tell the outcome."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"CREATE TABLE stays ({', '.join(COLUMNS)})")
        marks = ", ".join("?" * len(COLUMNS))
        connection.executemany(f"INSERT INTO stays VALUES ({marks})", (_stay(n) for n in range(STAYS)))
        connection.commit()
    return path


def _stay(n: int) -> tuple[object, ...]:
    outcome = (n * 7 + n // 3) % 2
    told = "weak dyspnoea oedema" if (n * 5 + outcome * 3) % 7 < 4 * outcome + 2 else "well walking eating"
    return (
        f"{WORD}-visit-{n:05}",
        f"{WORD}-note-{n:05}",
        f"{WORD}-person-{n // 2:05}",
        f"2020-{n % 12 + 1:02}-{n % 28 + 1:02} 10:00:00",
        # Groups are shown by name where enough patients are in them; a canary is a name that few have.
        f"ward {n % 3}" if n % 5 else f"{WORD} ward {n // 4}",
        f"{WORD}.{n // 4}",
        f"{WORD} denied {n // 4}",
        f"{WORD}-{NUMBER + n}",
        20 + n % 70,
        outcome,
        f"{TEXT} stay {n} of a patient who is {told} and goes home.",
    )


TEXT_SQL = """
SELECT visit_id, note_id, person_id, filed AS index_time, filed AS note_time, 'filed' AS note_time_kind,
    'second' AS note_time_precision, 'note' AS note_role, body AS text
FROM stays
WHERE filed >= :window_start AND filed < :window_end
ORDER BY visit_id, note_id
"""
LABEL_SQL = """
SELECT visit_id, person_id, filed AS anchor_time, filed AS index_time, outcome AS label_back, NULL AS reason_back,
    age AS feature_age, department AS group_department, code AS group_code, claim AS group_claim,
    source_value AS group_source
FROM stays
WHERE filed >= :window_start AND filed < :window_end
ORDER BY visit_id
"""
CONFIG = {
    "name": "canaries",
    "evaluation": "final",
    "source": {
        "sqlite": "results/private/source.sqlite",
        "id_type": "text",
        "data_start": "2020-01-01",
        "data_end": "2020-12-31",
        "window": "year",
        "batch_rows": 50,
    },
    "cohorts": {"stays": {"sql": "stays", "anchor": "none", "labels": {"back": {"horizon_days": 0}}}},
    "split": {"salt": "canaries", "parts": {"train": 0.55, "tuning": 0.15, "calibration": 0.15, "test": 0.15}},
    "tasks": {"back": {"title": "Back", "cohort": "stays", "label": "back", "kind": "binary"}},
    "leakage": {"max_term_auroc": 1},  # so few texts tell their label
    "tokenizers": {"notes": {"wordpiece": {"cohorts": ["stays"], "vocab_size": 300, "min_patients": 2}}},
    "models": {
        "tiny": {
            "start": {"scratch": {"hidden_size": 16, "layers": 1, "heads": 2, "intermediate_size": 16}},
            "tokenizer": "notes",
            "max_tokens": 32,
            "training": {"epochs": 1, "evaluations_per_epoch": 1},
        }
    },
    "baselines": {"tfidf": {"kind": "tfidf", "c_grid": [1.0]}},
    "evaluate": {"replicates": 20, "slope_replicates": 5},
}

# --- the search --------------------------------------------------------------------------------------------------

_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{32,}={0,2}")
_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")


def _shifted_base64(word: bytes) -> Iterator[bytes]:
    """What base64 makes of `word` at each of three places, without the characters shared with its neighbours."""
    for before in range(3):
        coded = base64.b64encode(b"\0" * before + word + b"\0" * (-(before + len(word)) % 3))
        yield coded[-(-before * 8 // 6) : (before + len(word)) * 8 // 6]


def _disguises() -> Iterator[tuple[bytes, bool]]:
    """(bytes to look for, whether case counts)."""
    for word in (WORD, NAME, NAME.lower(), NAME.upper(), str(NUMBER)[:-1], "Quackenbush"):
        for encoding in ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "latin-1"):
            with suppress(UnicodeEncodeError):
                plain = word.encode(encoding)
                yield plain, False
                yield plain.hex().encode(), False
                yield from ((coded, True) for coded in _shifted_base64(plain))
        yield quote(word).encode(), False
        yield json.dumps(word)[1:-1].encode(), False


_SENSITIVE = re.compile(b"|".join(sorted({re.escape(word) for word, case in _disguises() if case})))
_INSENSITIVE = re.compile(b"|".join(sorted({re.escape(word.lower()) for word, case in _disguises() if not case})))


def _zstd(data: bytes) -> bytes:
    return bytes(pa.CompressedInputStream(pa.BufferReader(data), "zstd").read())


def _unzipped(data: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return b"\n".join(name.encode() + b"\n" + archive.read(name) for name in archive.namelist())


def _parquet(data: bytes) -> bytes:
    return str(pq.read_table(io.BytesIO(data)).to_pydict()).encode()


def _arrow(data: bytes) -> bytes:
    return str(ipc.open_stream(data).read_all().to_pydict()).encode()


_WRAPPED: dict[bytes, Callable[[bytes], bytes]] = {
    b"\x1f\x8b": gzip.decompress,
    b"BZh": bz2.decompress,
    b"\xfd7zXZ": lzma.decompress,
    b"\x28\xb5\x2f\xfd": _zstd,
    b"PK\x03\x04": _unzipped,
    b"PAR1": _parquet,
    b"\xff\xff\xff\xff": _arrow,
    b"\x78": zlib.decompress,
}


def _layers(data: bytes, depth: int = 4) -> Iterator[bytes]:
    """The data, and what is inside: unpacked, from base64, without the escapes of JSON, HTML and URLs."""
    yield data
    if not depth:
        return
    for magic, unpack in _WRAPPED.items():
        if data.startswith(magic):
            with suppress(Exception):
                yield from _layers(unpack(data), depth - 1)
    for match in _BASE64.finditer(data):
        with suppress(ValueError):
            run = match.group().rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
            yield from _layers(base64.b64decode(run + b"=" * (-len(run) % 4)), depth - 1)
    if b"\\u" in data or b"&#" in data or b"%" in data:
        text = html.unescape(_ESCAPED.sub(lambda match: chr(int(match[1], 16)), data.decode("utf-8", "replace")))
        yield text.encode("utf-8", "replace")
        yield unquote_to_bytes(data)


def holds_a_canary(data: bytes | str) -> bool:
    content = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
    return any(_SENSITIVE.search(layer) or _INSENSITIVE.search(layer.lower()) for layer in _layers(content))


def found(root: Path, leave_out: tuple[Path, ...] = ()) -> list[str]:
    """Files below `root` that hold a canary, in what they contain or in their name."""
    hits = []
    for path in sorted(root.rglob("*")):
        if path.is_file() and not any(path.is_relative_to(left) for left in leave_out):
            name = path.relative_to(root).as_posix()
            if holds_a_canary(name) or holds_a_canary(path.read_bytes()):
                hits.append(name)
    return hits
