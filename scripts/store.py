"""Say what the store of checkpoints and finished models holds, and remove what the configuration does not use.

    python scripts/store.py --configfile config/hospital.yaml             lists: what, size, when last used
    python scripts/store.py --configfile config/hospital.yaml --remove    removes what is not used; says bytes freed

Run it from the repository's root. Used is what a finetune with today's settings, code and data would find there. A
former setting is not, nor one of another configuration with the same name: coming back to it would train again. What
is published (finetune/) stays, and so does what a running training holds.
"""

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from lib import checkpoints, commands, purge, reasons, store
from lib.amounts import size
from lib.plan import Plan
from lib.stage import StageError
from lib.stored import Entry, Stored


def main(argv: list[str] | None = None) -> int:
    parser = commands.parser(__doc__)
    parser.add_argument("--remove", action="store_true", help="remove what is listed as not used")
    arguments = parser.parse_args(argv)

    def look() -> int:
        plan = Plan(commands.read(arguments.configfile), main_process=False)
        if arguments.remove:
            with purge.no_run(Path(plan.results), Path.cwd()):
                remove(plan.stored, print)
        else:
            print("\n".join(page(plan.config.name, plan.stored, time.time())))
        return 0

    return commands.ended(look)


def page(name: str, held: Stored, now: float) -> Iterator[str]:
    """A line an entry, and what all hold."""
    entries = held.entries()
    used, unknown = held.keys()
    width = max((len(entry.name) for entry in entries), default=0)
    for entry in entries:
        state = "finished" if entry.finished else "checkpoints"
        days = f"{max(now - entry.used, 0) / 86_400:.0f} d ago"
        line = f"{entry.folder.name}  {entry.name:<{width}}  {state:<11}  {size(entry.bytes):>8}  {days:>8}"
        yield f"{line}  {'used' if entry.folder.name in used else _why_not(entry, held)}"
    unused = [entry for entry in entries if entry.folder.name not in used]
    yield (
        f"{name}: {len(entries)} in the store, {size(sum(entry.bytes for entry in entries))}; not used: {len(unused)}, "
        f"{size(sum(entry.bytes for entry in unused))}"
    )
    if unknown:
        yield f"{unknown} finetunes have no dataset or tokenizer yet: what they would use cannot be told"
    elif unused:
        yield "nothing was removed; --remove does it"


def _why_not(entry: Entry, held: Stored) -> str:
    """How the entry differs from what the fit of its name would be today."""
    now = held.told(entry.what)
    if now is None:
        return "not used: no such fit in the configuration" if entry.what else "not used: it does not say what it is"
    settings, data, code = now
    changed = reasons.texts("finetune", entry.what, entry.what["settings"], settings)
    changed += ["other data"] if data is not None and data != entry.what["data"] else []
    changed += ["other code"] if code != entry.what["code"] else []
    return f"not used: {'; '.join(changed) or 'its data are not there'}"


def remove(held: Stored, say: Callable[[str], None]) -> None:
    """Remove what is not used, but for what another process holds. StageError where use cannot be told."""
    used, unknown = held.keys()
    if unknown:
        raise StageError(
            f"{unknown} finetunes have no dataset or tokenizer yet, so what they would use cannot be told: run first"
        )
    removed, freed = 0, 0
    for entry in held.entries():
        if entry.folder.name in used:
            continue
        try:
            with checkpoints.lock(entry.folder):
                checkpoints.remove(entry.folder / store.FINAL)
                shutil.rmtree(entry.folder)
        except StageError:
            say(f"kept: {entry.folder.name} {entry.name}: a training is going on in it")
            continue
        say(f"removed: {entry.folder.name} {entry.name}, {size(entry.bytes)}")
        removed, freed = removed + 1, freed + entry.bytes
    say(f"removed: {removed}, {size(freed)} freed")


if __name__ == "__main__":
    sys.exit(main())
