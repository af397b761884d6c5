"""Draw docs/how-to/report-*.jpg: screenshots of pages of `vis report` in an installed Chromium, with Playwright.

vis report demo/launchpad.json -o demo/plain.html
vis report demo/launchpad.json -o demo/compared.html --annotations sample_videos/annotations.json
python docs/how-to/draw_report.py demo/plain.html demo/compared.html
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

FOLDER = Path(__file__).parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FRAME = 33
QUALITY = 50  # of the JPEG files
WAIT_MS = 1500  # until the video has sought the frame
SEEK = """(frame) => {
    const field = document.getElementById("frame");
    field.value = frame;
    field.dispatchEvent(new Event("input"));
}"""


def main() -> None:
    """Write the three images."""
    plain, compared = (Path(path).resolve() for path in sys.argv[1:])
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path=program, args=["--no-sandbox"])
        draw(browser, plain, "light", (1280, 900))
        draw(browser, compared, "dark", (1280, 1180))
        draw(browser, compared, "narrow", (390, 1180))
        browser.close()


def draw(browser: Any, path: Path, name: str, size: tuple[int, int]) -> None:
    """Open a page, show a frame, select the first instance of a compared result, and write the visible part."""
    scheme = "dark" if name == "dark" else "light"
    page = browser.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
    page.goto(path.as_uri())
    page.wait_for_selector("body.ready", state="attached")
    page.evaluate(SEEK, FRAME)
    if name != "light":
        page.locator("#labels button").first.evaluate("(button) => button.click()")
    page.wait_for_timeout(WAIT_MS)
    page.evaluate("() => scrollTo(0, 0)")
    page.screenshot(path=str(FOLDER / f"report-{name}.jpg"), type="jpeg", quality=QUALITY)
    page.close()


if __name__ == "__main__":
    main()
