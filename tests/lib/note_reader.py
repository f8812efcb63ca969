"""A rule-based reader of demo notes: from a note's text back to the facts it states, and to the risk they imply.

It knows the concepts' names and how English marks presence, absence and "the former ... the latter", and nothing of
how a note was drawn. It is what a perfect model of the text would do, so it shows that the text carries the risk.
"""

import html
import re
import unicodedata
from collections.abc import Sequence

import numpy as np

from lib import demo_risk
from lib.demo_facts import CHRONIC, FINDINGS, INSURERS, NEEDS, PAPERS, Chronic, Concept

_YES = r"confirmed|present|established"
_NO = r"excluded|absent|ruled out"
_PAIR = re.compile(
    rf"(?:former|first one)(?: is)? ({_YES}|{_NO})\W+(?:the )?(?:latter|second one)(?: is)? ({_YES}|{_NO})"
)
_SPLIT = re.compile(r" and | as well as | / ")
_DENIED = re.compile(r"\b(?:no|without|denies|negative for|resolved)\b", re.IGNORECASE)
_FAMILY = re.compile(r"\b(?:mother|father|brother)\b", re.IGNORECASE)
_AGE = re.compile(r"\b(\d{1,3})(?: yo| y/o|-year-old)\b")
_COVER = re.compile(r"\b(?:Insurance|Payer): (" + "|".join(map(re.escape, INSURERS)) + r")\.")
_RTF_GROUP = re.compile(r"\{\\fonttbl.*?\}\}", re.DOTALL)
_RTF_WORD = re.compile(r"\\([a-z]+)-?\d* ?")


def plain(text: str) -> str:
    """A text without markup, control characters and odd Unicode: what a reasonable cleaning leaves of it."""
    if text.startswith("{\\rtf"):
        text = _RTF_WORD.sub(lambda m: "\n" if m[1] == "par" else "", _RTF_GROUP.sub("", text))
        text = re.sub(r"\\([\\{}])", r"\1", text.strip("{} \n"))
    if text.startswith("<"):
        text = html.unescape(re.sub(r"</?[a-z][^>]*>", " ", text))
    text = unicodedata.normalize("NFKC", text)
    text = "".join(" " if unicodedata.category(c) == "Cc" else c for c in text)
    return " ".join(text.split())


def _pattern(names: Sequence[str]) -> re.Pattern[str]:
    return re.compile(r"(?<![\w-])(?:" + "|".join(map(re.escape, names)) + r")(?![\w-])", re.IGNORECASE)


_NAMES = {c.key: _pattern(c.names) for group in (FINDINGS, NEEDS, PAPERS, CHRONIC) for c in group}


def status(text: str, key: str) -> int | None:
    """1 if the (clean) text says that the concept is present, 0 if that it is not, None if it says neither."""
    for sentence in re.split(r"\.(?=\s|$)", text):
        found = _NAMES[key].search(sentence)
        if not found or _FAMILY.search(sentence):
            continue
        pair = _PAIR.search(sentence)
        if pair:
            link = _SPLIT.search(sentence)
            assert link is not None
            said = pair[1] if found.start() < link.start() else pair[2]
            return int(re.fullmatch(_YES, said) is not None)
        return int(_DENIED.search(sentence) is None)
    return None


def present(text: str, concepts: Sequence[Concept]) -> tuple[int, ...]:
    """0 or 1 for each concept; what is not named is taken as absent."""
    return tuple(status(text, c.key) or 0 for c in concepts)


def stated(text: str, conditions: Sequence[Chronic] = CHRONIC) -> tuple[int | None, ...]:
    """1, 0 or None (not said) for each chronic condition."""
    return tuple(status(text, c.key) for c in conditions)


def age(text: str) -> int:
    found = _AGE.search(text)
    assert found is not None, "the note states no age"
    return int(found[1])


def risk(task: str, text: str) -> list[float]:
    """Class probabilities that a clean note implies. How telling its silence is depends on whether it is balanced."""
    if task == "readmission":
        p = demo_risk.readmission(present(text, NEEDS), age(text))
    elif task == "mortality":
        p = demo_risk.mortality(present(text, FINDINGS), age(text))
    elif task == "denial":
        cover = _COVER.search(text)
        assert cover is not None, "the note states no cover"
        p = demo_risk.denial(INSURERS.index(cover[1]), present(text, PAPERS))
    elif task == "length_of_stay":
        return list(demo_risk.length_of_stay(present(text, FINDINGS), age(text)))
    else:
        posterior = demo_risk.chronic_posterior(age(text), stated(text), _PAIR.search(text) is not None)
        return demo_risk.charlson_classes(np.array([posterior]))[0].tolist()
    return [1 - p, p]
