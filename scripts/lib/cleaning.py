"""Cleaning: ordered, named steps over a note's text, then one text a stay.

A step is a pure function `text -> text`, or `text -> None` to drop the note under the step's name. A user's own step
is `module:function`, imported from the folder where the workflow runs. Each takes its options as keyword arguments.

>>> clean_text("<p>Denies&nbsp;pain.<br/>No fever.</p>", [("markup", markup, {}), ("whitespace", whitespace, {})])
('Denies pain.\\nNo fever.', None)
"""

import html
import importlib
import re
import sys
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

Step = tuple[str, Callable[..., str | None], dict[str, Any]]
Id = int | str

_RTF_DESTINATION = re.compile(r"\{\\\*?\\?(?:fonttbl|colortbl|stylesheet|info|generator)\b(?:[^{}]|\{[^{}]*\})*\}")
_RTF_BREAK = re.compile(r"\\(?:par|line|tab|pard)\b ?")
_RTF_HEX = re.compile(r"\\'([0-9a-fA-F]{2})")
_RTF_WORD = re.compile(r"\\[a-zA-Z]+-?\d* ?")
_BREAK_TAG = re.compile(r"<\s*/?\s*(?:br|p|div|tr|li|h[1-6]|table|ul|ol)\b[^<>]*>", re.I)
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>|<!--.*?-->", re.S)
_CONTROL = re.compile(r"[^\S\n\t ]|[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060\ufeff]")


def markup(text: str) -> str:
    """Remove what HTML and RTF leave behind: tags, entities, control words. `<5 mg` and `a < b` stay."""
    if "{\\rtf" in text or "\\par" in text:
        text = _RTF_DESTINATION.sub("", text)
        text = _RTF_BREAK.sub("\n", text)
        text = _RTF_HEX.sub(lambda match: bytes.fromhex(match[1]).decode("cp1252", "replace"), text)
        text = _RTF_WORD.sub("", text).replace("{", "").replace("}", "")
    if "<" in text:
        text = _TAG.sub(" ", _BREAK_TAG.sub("\n", text))
    return html.unescape(text) if "&" in text else text


def unicode(text: str, form: Literal["NFC", "NFKC"] = "NFKC") -> str:
    """Unicode normalization (UAX 15) and no control or zero-width characters; line ends become `\\n`."""
    text = unicodedata.normalize(form, text.replace("\r\n", "\n").replace("\r", "\n"))
    return _CONTROL.sub(" ", text)


def whitespace(text: str) -> str:
    """One space between words, one line break between lines, none at the ends."""
    lines = (" ".join(line.split()) for line in text.split("\n"))
    return "\n".join(line for line in lines if line)


def empty(text: str) -> str | None:
    """Drop a note without a letter or digit."""
    return text if any(character.isalnum() for character in text) else None


def short(text: str, min_words: int = 5) -> str | None:
    """Drop a note of fewer than `min_words` words."""
    return text if len(text.split()) >= min_words else None


STEPS: dict[str, Callable[..., str | None]] = {
    "markup": markup,
    "unicode": unicode,
    "whitespace": whitespace,
    "empty": empty,
    "short": short,
}


def load_steps(configured: Sequence[str | dict[str, dict[str, Any]]]) -> list[Step]:
    """The steps of the config, in order. Raises KeyError for an unknown name, AttributeError for no such function."""
    steps: list[Step] = []
    for item in configured:
        name, options = (item, {}) if isinstance(item, str) else next(iter(item.items()))
        if ":" in name:
            module, function = name.split(":")
            if str(Path.cwd()) not in sys.path:
                sys.path.append(str(Path.cwd()))
            steps.append((name, getattr(importlib.import_module(module), function), options))
        else:
            steps.append((name, STEPS[name], options))
    return steps


def clean_text(text: str | None, steps: Sequence[Step]) -> tuple[str, str | None]:
    """(cleaned text, None), or ("", the name of the step that dropped it). A NULL text is dropped as `null`."""
    if text is None:
        return "", "null"
    for name, step, options in steps:
        result = step(text, **options)
        if result is None:
            return "", name
        text = result
    return text, None


@dataclass(frozen=True)
class Note:
    """A note of a stay, available at its index time."""

    note_id: Id
    person_id: Id
    index_time: datetime
    note_time: datetime | None
    role: str
    text: str


def one_text(notes: list[Note], choose: str, addenda: str) -> tuple[Note | None, int]:
    """A stay's text from its cleaned notes, and how many addenda were merged into it.

    Notes are taken in order of (note_time, note_id), without a time first. `choose` is first, last_before_index or
    concatenate; `addenda` is merge (each after the notes, by time) or drop. None if no note is left.
    """
    order = sorted(notes, key=lambda note: (note.note_time or datetime.min, note.note_id))
    main = [note for note in order if note.role == "note"]
    extra = [note for note in order if note.role == "addendum"] if addenda == "merge" else []
    if not main:
        return None, 0
    chosen = {"first": main[:1], "last_before_index": main[-1:], "concatenate": main}[choose]
    text = "\n".join(note.text for note in [*chosen, *extra])
    return replace(chosen[0], text=text), len(extra)
