"""Somebody at the worklist, with a browser of their own."""

import base64
from pathlib import Path
from typing import Any

from .conftest import Served

DROP = """([files, target]) => {
  const transfer = new DataTransfer();
  for (const [name, content] of files) {
    const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
    transfer.items.add(new File([bytes], name));
  }
  for (const kind of ["dragenter", "dragover", "drop"]) {
    document.querySelector(target).dispatchEvent(new DragEvent(kind, { dataTransfer: transfer, bubbles: true }));
  }
}"""


class Person:
    """What they do, what their browser asked for outside of the service, and what it complained of."""

    def __init__(self, browser: Any, served: Served, scheme: str = "light", width: int = 1100) -> None:
        self.address = str(served.http.base_url).rstrip("/")
        self.context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800})
        self.context.set_default_timeout(60_000)
        self.page = self.context.new_page()
        self.outside: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", self._asked)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        self.page.goto(self.address)
        self.page.wait_for_selector("#token:visible")

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.outside.append(request.url)

    def log_in(self, token: str) -> None:
        self.page.fill("#token", token)
        self.page.click("text=Log in")

    def drop(self, *files: Path) -> None:
        sent = [[file.name, base64.b64encode(file.read_bytes()).decode()] for file in files]
        self.page.evaluate(DROP, [sent, "#drop"])
