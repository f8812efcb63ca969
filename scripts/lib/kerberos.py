"""The Kerberos ticket that a warehouse is asked with: where it lies, how long it lives, and what to do without one.

A ticket cache that the machine can read, or a keytab from which the library fetches tickets itself (MIT Kerberos 1.11
and later; the ticket then lies in the process's memory alone). `klist` of the system says what a cache holds; where
there is none, the driver's own failure tells.
"""

import os
import re
import subprocess
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from lib.stage import StageError

_TIME = r"\d\d/\d\d/\d\d(?:\d\d)? \d\d:\d\d:\d\d"
_GRANTING = re.compile(rf"^{_TIME}\s+({_TIME})\s+krbtgt/", re.M)


def prepare(block: Mapping[str, Any] | None) -> None:
    """Let this process ask with the ticket of `block` (principal, cache, keytab); None leaves all as it is.

    Raises StageError if there is no ticket, or it has ended: which principal, and what to run.
    """
    if block is None:
        return
    if keytab := block.get("keytab"):
        if not Path(keytab).is_file() or not os.access(keytab, os.R_OK):
            raise StageError("source.odbc.kerberos.keytab: there is no such file here, or it is not yours to read")
        os.environ |= {"KRB5_CLIENT_KTNAME": str(keytab), "KRB5CCNAME": "MEMORY:notecast"}
        return
    if cache := block.get("cache"):
        os.environ["KRB5CCNAME"] = str(cache)
    elif "SLURM_JOB_ID" in os.environ:
        raise StageError(
            "a node does not see the login node's own ticket cache: put a ticket where the node can read it, and name "
            "it in source.odbc.kerberos.cache; or name a keytab"
        )
    left = remaining()
    if left is not None and left <= 0:
        raise StageError(missing(block))


def missing(block: Mapping[str, Any] | None) -> str:
    """The one sentence for whoever has no ticket, or one that has ended."""
    if block is None:
        return "the server asks for a Kerberos ticket: run kinit, or give source.odbc.kerberos"
    if block.get("keytab"):
        return (
            f"the keytab gives no ticket for {block['principal']}: renew source.odbc.kerberos.keytab (ktutil, or ask "
            "whoever keeps the realm)"
        )
    into = " -c CACHE (the one of source.odbc.kerberos.cache)" if block.get("cache") else ""
    return (
        f"there is no valid Kerberos ticket for {block['principal']}: run `kinit{into} {block['principal']}` and start "
        "again; finished windows are kept"
    )


def remaining() -> float | None:
    """Seconds for which the ticket of this process's cache lives; 0 without one, None where `klist` is missing."""
    try:
        listed = subprocess.run(["klist"], env={**os.environ, "LC_ALL": "C"}, capture_output=True, text=True)
    except OSError:
        return None
    if listed.returncode:
        return 0.0
    ends = [_read(text) for text in _GRANTING.findall(listed.stdout)]
    return max((end - datetime.now()).total_seconds() for end in ends) if ends else 0.0


def _read(text: str) -> datetime:
    return datetime.strptime(text, "%m/%d/%Y %H:%M:%S" if len(text.split()[0]) == 10 else "%m/%d/%y %H:%M:%S")
