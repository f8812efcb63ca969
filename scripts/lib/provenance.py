"""What an output depends on beyond its inputs: settings and code, as hashes, and whether a file was made with them.

The code hash is of the syntax tree without docstrings, over a script, the local modules it imports and a user's own
modules, together with the locked versions of the distributions they import: a comment, a reformatted line or a
`touch` changes nothing, a changed helper re-runs the stages that import it and no other.

Snakemake forgets: a clone without `.snakemake/` or a `--touch` and whatever exists counts as up to date. A *stamp*,
an input of every job, holds the settings and code asked for; it is newer than the output exactly when the record
beside the output says that other settings or other code made it, or when there is no record of it.
"""

import ast
import hashlib
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from lib import canonical_json, records

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts"
LOCK = ROOT / "requirements.lock"
_DISTRIBUTION = {"sklearn": "scikit-learn", "yaml": "pyyaml", "PIL": "pillow"}
_STARTED = time.time_ns()
SMALL_BYTES = 1_000_000  # of files up to this size the hash is compared, as Snakemake does
_LONG_AGO = 946_684_800  # a stamp that agrees with the record must never be newer than the output


@cache
def code_hash(script: Path, own_modules: tuple[str, ...] = ()) -> str:
    """Hash (64 hexadecimal digits) of `script`, its local imports, `own_modules` by name, and locked versions."""
    return hashlib.sha256(canonical_json(code_parts(script, own_modules)).encode()).hexdigest()


def code_parts(script: Path, own_modules: tuple[str, ...] = ()) -> tuple[dict[str, str], dict[str, str]]:
    """What `code_hash` is of: the hash of each file by its path, and the locked version of each distribution."""
    pending = [script, *(own_module(name).resolve() for name in own_modules)]
    trees: dict[str, str] = {}
    distributions: set[str] = set()
    while pending:
        path = pending.pop()
        key = os.path.relpath(path, ROOT if path.is_relative_to(ROOT) else None)  # a user's own: from where jobs run
        if key in trees:
            continue
        trees[key], local, foreign = _module(path)
        pending += local
        distributions |= foreign
    versions = {name: _locked().get(_DISTRIBUTION.get(name, name).lower(), "not locked") for name in distributions}
    versions.pop("lib", None)
    return trees, versions


@cache
def _module(path: Path) -> tuple[str, tuple[Path, ...], frozenset[str]]:
    """A file's hash, the local modules that it imports, and the distributions; stages share most of their modules."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    statements = list(_statements(tree))
    _drop_docstrings(statements)
    local, foreign = [], set()
    for module in _imports(statements):
        if found := _local(module, path.parent):
            local.append(found)
        elif module.split(".")[0] not in sys.stdlib_module_names:
            foreign.add(module.split(".")[0])
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest(), tuple(local), frozenset(foreign)


def own_module(name: str) -> Path:
    """Where a user's own module is looked for: below the folder in which the workflow runs."""
    return Path(*name.split(".")).with_suffix(".py")


def _statements(tree: ast.Module) -> Iterator[ast.AST]:
    """The module and all statements in it. Not the expressions: they are nine of ten nodes, at every start of a run."""
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        yield node
        for name in ("body", "orelse", "finalbody", "handlers", "cases"):
            inner = getattr(node, name, None)
            pending += inner if isinstance(inner, list) else ()


def _drop_docstrings(statements: Iterable[ast.AST]) -> None:
    for node in statements:
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and (
            ast.get_docstring(node, clean=False) is not None
        ):
            node.body = node.body[1:]


def _imports(statements: Iterable[ast.AST]) -> Iterator[str]:
    for node in statements:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _local(module: str, beside: Path) -> Path | None:
    """The file of a module that one in the folder `beside` imports.

    Of ours, only scripts/ is on the path: lib/cleaning.py's `import html` is the standard library's. A user's own
    module may have neighbours.
    """
    for folder in (SCRIPTS,) if beside.is_relative_to(SCRIPTS) else (SCRIPTS, beside):
        path = folder.joinpath(*module.split("."))
        for candidate in (path.with_suffix(".py"), path / "__init__.py"):
            if candidate.is_file():
                return candidate
    return None


@cache
def _locked() -> dict[str, str]:
    """Version of each distribution in the lock, without a local part such as +cpu."""
    lines = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;+]+)", LOCK.read_text(encoding="utf-8"), re.M)
    return {name.lower(): version for name, version in lines}


def locked_version(distribution: str) -> str | None:
    """The version of a distribution in the lock, without a local part such as +cpu."""
    return _locked().get(distribution.lower())


def made_with(outputs: Iterable[Path], settings: str, code: str) -> bool:
    """Whether the record beside the first of `outputs` tells of these settings, this code and these manifests.

    Files of up to 1 MB are compared by sha256 (manifests, metrics); shards are `verify`'s work.
    """
    paths = list(outputs)
    record = records.last(paths[0])
    if record is None or record["settings"] != settings or record["code"] != code:
        return False
    recorded = {Path(name).name: digest for name, digest in record["outputs"].items()}
    for path in paths:
        if not path.is_file():
            return False
        if path.stat().st_size <= SMALL_BYTES:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            if recorded.get(path.name) != digest:
                return False
    return True


def stamp(path: Path, outputs: list[Path], settings: str, code: str) -> None:
    """Bring the stamp at `path` up to date with the settings and code asked for; see the module's docstring."""
    there = [path for path in outputs if path.is_file()]
    agrees = made_with(outputs, settings, code)
    asked: dict[str, Any] = {"settings": settings, "code": code}
    if not agrees:
        # Other content for every state of the outputs, and every time that snakemake looks: `--touch` makes it take
        # the stamp of today for the one used, and a lost file that nothing is waiting for is noticed only by a stamp
        # that is newer, and other, than what was made from that file; a dry run of long ago has left an older one.
        times = [path.stat().st_mtime_ns if path.is_file() else None for path in outputs]
        asked["made_otherwise"] = [_STARTED, *times]
    content = canonical_json(asked) + "\n"
    old = path.is_file() and path.stat().st_mtime <= _LONG_AGO
    if path.is_file() and path.read_text(encoding="utf-8") == content and agrees == old:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    if agrees:
        os.utime(path, (_LONG_AGO, _LONG_AGO))
    elif there:  # a coarse clock may give both the same time
        later = max(path.stat().st_mtime_ns, *(output.stat().st_mtime_ns + 1_000_000 for output in there))
        os.utime(path, ns=(later, later))
