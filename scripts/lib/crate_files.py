"""What is in a run's crate, file by file, and the archive: class aggregate and code, and nothing else.

Each file of the results is held against its hash in the provenance document before it goes in. The archive's bytes
depend on its files alone: fixed dates, the order of the names.
"""

import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lib import records, revision
from lib.data_classes import kinds_of
from lib.files import atomic, sha256
from lib.stage import StageError

RESULTS = "results"
FORMATS = {  # of what may be in a crate, by the ends of the names
    ".csv": "text/csv",
    ".html": "text/html",
    ".json": "application/json",
    ".lock": "text/plain",
    ".md": "text/markdown",
    ".parquet": "application/vnd.apache.parquet",
    ".py": "text/x-python",
    ".rst": "text/x-rst",
    ".sh": "application/x-sh",
    ".smk": "text/plain",
    ".sql": "application/sql",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".yaml": "application/yaml",
    "": "text/plain",  # the Snakefile
}
_CODE = {".lock", ".md", ".json", ".py", ".rst", ".sh", ".smk", ".sql", ".yaml", ""}
_EPOCH = (1980, 1, 1, 0, 0, 0)
_READABLE = 0o644 << 16


def members(documents: Sequence[Path], document: Mapping[str, Any], code: Path) -> dict[str, Path]:
    """Path by name in the crate, in the order of the names: `documents`, the run's results, the code below `code`.

    `document` is the provenance document, which lies with the other `documents` in the results. Raises StageError for
    a file that is not of class aggregate, that is gone, or that is not as the document has it.
    """
    results = documents[0].parent
    listed = {name: digest for name, digest in document["outputs"].items() if name.startswith("<results>/")}
    listed |= {f"<results>/{path.name}": None for path in documents}
    found, wrong = {}, []
    if other := [name for name in listed if [kind.data_class for kind in kinds_of(name)] != ["aggregate"]]:
        raise StageError(
            f"{len(other)} of {len(listed)} files of provenance.json are not of class aggregate, and nothing else goes "
            "into a crate; see scripts/lib/data_classes.py"
        )
    for name, digest in listed.items():
        inside = name.removeprefix("<results>/")
        path = results / inside
        if not path.is_file() or digest not in (None, sha256(path)):
            wrong.append(name)
        found[f"{RESULTS}/{inside}"] = path
    if wrong:
        raise StageError(
            f"{len(wrong)} of {len(listed)} files are gone or not as provenance.json has them ({wrong[0]}, ...): "
            "run snakemake again"
        )
    own = [path for path in revision.files(code) if path.suffix in _CODE]
    found |= {path.relative_to(code).as_posix(): path for path in own}
    return dict(sorted(found.items()))


def revision_of(code: Path) -> dict[str, Any]:
    """{"commit", "dirty"} as noted when the code was copied; both None of code that is no such copy."""
    path = code / records.REVISION
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {"commit": None, "dirty": None}


def write(path: Path, entities: Sequence[Any]) -> None:
    """The archive of rocrate's `entities` (those that can be written), whole or not at all."""
    with atomic(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for entity in sorted(entities, key=lambda one: str(one.id)):
            member = zipfile.ZipInfo(entity.id, _EPOCH)
            member.compress_type, member.external_attr = zipfile.ZIP_DEFLATED, _READABLE
            if isinstance(entity.source, Path):
                member.file_size = entity.source.stat().st_size  # of 2 GB and more an archive has to know before
            with archive.open(member, "w") as file:
                for _, chunk in entity.stream(chunk_size=1 << 20):
                    file.write(chunk)
