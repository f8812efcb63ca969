"""The dirt of real warehouses: markup remains, line ends, control characters, odd Unicode.

What is done to a text can be undone by stripping tags, entities and RTF control words, NFKC, dropping control
characters and collapsing white space: words and their order stay.
"""

import html

from lib.demo_streams import Stream

_LIGATURES = (("fi", "\ufb01"), ("fl", "\ufb02"))


def dirty(text: str, draw: Stream) -> str:
    """The text as a careless interface would have stored it, in one of five ways."""
    return draw.pick((_html, _rtf, _crlf, _control, _unicode))(text, draw)


def _html(text: str, draw: Stream) -> str:
    marked = html.escape(text, quote=False).replace("\n", draw.pick(("<br>", "<br/>\n", "</p>\n<p>")))
    title, _, rest = marked.partition(" ")
    return f'<div class="note"><p><b>{title}</b>&nbsp;{rest.replace(". ", ".&nbsp; ", 3)}</p></div>'


def _rtf(text: str, draw: Stream) -> str:
    escaped = text.replace("\\", "\\\\").replace("{", "\\{").replace("}", "\\}").replace("\n", "\\par\n")
    title, _, rest = escaped.partition(" ")
    font = draw.pick(("Arial", "Times New Roman"))
    return f"{{\\rtf1\\ansi\\deff0{{\\fonttbl{{\\f0\\fswiss {font};}}}}\\f0\\fs20 \\b {title}\\b0  {rest}\\par }}"


def _crlf(text: str, draw: Stream) -> str:
    return text.replace("\n", "\r\n") + "\r\n"


def _control(text: str, draw: Stream) -> str:
    """Form feeds, bells and the like beside spaces."""
    words = text.split(" ")
    for _ in range(draw.between(1, 5)):
        words.insert(draw.below(len(words)), draw.pick(("\x07", "\x0b", "\x0c", "\x1f", "\x7f", "\t")))
    return " ".join(words)


def _unicode(text: str, draw: Stream) -> str:
    """Ligatures, non-breaking and thin spaces, typographic marks, an accented name."""
    for plain, joined in _LIGATURES:
        text = text.replace(plain, joined)
    space = draw.pick(("\u00a0", "\u2009", "\u3000"))
    return f"{text.replace('. ', '.' + space)}\nRéviewed by Dr. Núñez – façade of the chart “as is”…"
