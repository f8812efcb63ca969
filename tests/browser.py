"""A page as a reader's Chromium has it."""

import html
import json
import re
import subprocess
from pathlib import Path
from typing import Any


def seen(page: Path, expression: str, width: int = 1200) -> Any:
    """What a JavaScript expression says once the page and its pictures are loaded in a window of `width` pixels."""
    asked = page.with_name(f"{page.stem}.asked.html")
    told = f"document.body.textContent = 'told' + JSON.stringify({expression}) + 'end'"
    script = f"<script>addEventListener('load', () => {{ {told} }})</script>"
    asked.write_text(page.read_text(encoding="utf-8").replace("</body>", f"{script}</body>"), encoding="utf-8")
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--window-size={width},900", "--dump-dom"]
    try:
        done = subprocess.run([*command, asked.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    finally:
        asked.unlink()
    found = re.search(r"<body>told(.*)end</body>", done.stdout, re.S)
    assert found, done.stdout[-2000:] + done.stderr[-2000:]
    return json.loads(html.unescape(found[1]))
