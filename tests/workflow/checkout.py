"""A copy of the checkout in which tests run the real `snakemake`, change things, and look at what ran."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
SMALL = ROOT / "tests" / "workflow" / "small.yaml"
SNAKEMAKE = [str(Path(sys.executable).with_name("snakemake")), "--nocolor"]
PARTS = ("workflow", "scripts", "config", "envs", "profiles", "requirements.lock")
UNDECLARED = re.compile(
    r"/(store|stamps|code|tmp|cache|logs|fetched)/|/ledger/.*(parquet|jsonl)$|openings\.jsonl$|\.record\.jsonl$|\.running$"
    r"|/(report|certificate/\w+|steward|reviewer)\.html$|/provenance\.json$|/crate\.zip$|/share\.key$"
)


class Checkout:
    """A working copy at `folder`; `config` is the whole configuration, written to config/test.yaml."""

    def __init__(self, folder: Path, config: dict[str, Any] | None = None) -> None:
        self.folder = folder
        for part in PARTS if not (folder / "workflow").exists() else ():
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                folder.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, folder / part)
        if config is not None:
            self.configure(config)

    def configure(self, config: dict[str, Any], sort_keys: bool = False) -> None:
        self.config = config
        text = yaml.safe_dump(config, sort_keys=sort_keys, allow_unicode=True)
        (self.folder / "config" / "test.yaml").write_text(text, encoding="utf-8")

    def clone(self, folder: Path, results: bool = True, metadata: bool = True) -> "Checkout":
        """A second copy with the same times; without `metadata` it is what `git clone` beside the results gives."""
        shutil.copytree(self.folder, folder, copy_function=shutil.copy2, symlinks=True)
        if not metadata:
            shutil.rmtree(folder / ".snakemake")
        if not results:
            shutil.rmtree(folder / "results")
        other = Checkout(folder)
        other.config = self.config
        return other

    def command(self, *arguments: str, cores: int = 2) -> list[str]:
        return [*SNAKEMAKE, *arguments, "--cores", str(cores), "--configfile", "config/test.yaml"]

    def snakemake(self, *arguments: str, cores: int = 2, check: bool = True) -> subprocess.CompletedProcess[str]:
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("SNAKEMAKE", "PYTEST"))}
        ended = subprocess.run(
            self.command(*arguments, cores=cores),
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if check and ended.returncode:
            raise AssertionError(
                f"snakemake ended with {ended.returncode}:\n{ended.stdout[-3000:]}{ended.stderr[-6000:]}"
            )
        return ended

    def planned(self, *arguments: str) -> Counter[str]:
        """Jobs by rule that a dry run lists; `all` is left out."""
        said = self.snakemake("-n", *arguments)
        table = re.search(r"Job stats:\n.*?\n-+ +-+\n(.*?)\n\n", said.stdout + said.stderr, re.S)
        rows = (line.split() for line in table[1].splitlines()) if table else ()
        return Counter({rule: int(n) for rule, n in rows if rule not in ("all", "total")})

    def ran(self, *arguments: str, cores: int = 2) -> Counter[str]:
        """Jobs by rule that a real run executed; `all` is left out."""
        before = self._records()
        self.snakemake("--rerun-incomplete", *arguments, cores=cores)
        return Counter({rule: n - before[rule] for rule, n in self._records().items() if n > before[rule]})

    def _records(self) -> Counter[str]:
        counts: Counter[str] = Counter()
        for path in (self.folder / "results").rglob("*.record.jsonl"):
            counts.update(json.loads(line)["stage"] for line in path.read_text(encoding="utf-8").splitlines())
        return counts

    def bytes(self, root: Path | None = None, prefix: str = "") -> dict[str, str]:
        """SHA-256 of every declared output, by path below `root` (results/); no logs, records, checkpoints, stamps."""
        root = root or self.folder / "results"
        found = {}
        for path in sorted(root.rglob("*")):
            relative = prefix + path.relative_to(root).as_posix()
            if path.is_file() and not UNDECLARED.search(relative):
                found[relative] = hashlib.sha256(path.read_bytes()).hexdigest()
        return found


def rule_of(output: str) -> str:
    """The rule that makes a file, by its path below results/."""
    parts = output.split("/")
    inside = parts[2:] if parts[0] == "private" else parts[1:]
    singles = {"hospital": "demo_hospital", "oracle": "demo_hospital", "config": "resolve", "tokenizers": "tokenizer"}
    singles |= {"summary": "report", "index": "report", "steward": "provenance", "reviewer": "provenance"}
    name = inside[0].split(".")[0]
    return singles.get(name, name)


def small_config(**changes: Any) -> dict[str, Any]:
    """The demo's configuration overlaid with small.yaml, reduced to one task."""
    demo = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
    small = yaml.safe_load(SMALL.read_text(encoding="utf-8"))
    config = merged(demo, small)
    config["tasks"] = {name: config["tasks"][name] for name in small["tasks"]}
    return merged(config, changes)


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`base` overlaid with `over`, key by key, as Snakemake does it."""
    result = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else value
    return result
