"""A real browser, and pages shown in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gancluster.report import page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium: install your system's package")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def show(browser: Any, tmp_path: Path) -> Iterator[Any]:
    """Writes sections to a page and opens it; at the end nothing may have been asked for, said or raised."""
    complaints: list[str] = []
    tab = browser.new_page(viewport={"width": 900, "height": 800})
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("request", lambda request: complaints.append(request.url) if not request.url.startswith("data:") else None)

    def opened(*sections: page.Section) -> Any:
        path = tmp_path / "page.html"
        page.write(path, "a <title>", "n = 3", sections)
        tab.goto(path.as_uri())
        assert complaints.pop(0) == path.as_uri()
        return tab

    yield opened
    tab.close()
    assert complaints == []
