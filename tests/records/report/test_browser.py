"""Pages in headless Chromium: pixels of the masks, frames of the video, names as text, filters, keys and downloads.

The tests need the package playwright and an installed Chromium, whose path playwright does not have to know.
"""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.records.exports.factory import write
from tests.records.result_factory import make_result
from vis_cli.commands import report_page
from vis_cli.commands.report_page import PageOptions, write_report_page
from vis_cli.messages import NoMessages
from vis_cli.records.exports.tables import instances_path, write_csv
from vis_cli.records.result_json import read_result
from vis_cli.records.rle import decode_rle, encode_mask
from vis_cli.records.types import VideoResult

from .factory import HARD_NAMES, SCRIPT, SIZE, UNEVEN_MS, hard_masks, hard_result, save_with_video

playwright = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")

NUM_FRAMES = 20
SEEK = """async (frame) => {
    const field = document.getElementById("frame"), canvas = document.getElementById("masks");
    field.value = frame;
    field.dispatchEvent(new Event("input"));
    for (let wait = 0; wait < 2000 && canvas.dataset.frame !== String(frame); wait++) {
        await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return canvas.dataset.frame;
}"""
ALPHA = """() => {
    const canvas = document.getElementById("masks");
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return Array.from(data.filter((_, index) => index % 4 === 3), (value) => (value ? "1" : "0")).join("");
}"""
GREY = """async () => {
    const video = document.getElementById("video");
    await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    const canvas = Object.assign(document.createElement("canvas"), { width: 64, height: 48 });
    const context = canvas.getContext("2d");
    context.drawImage(video, 0, 0, 64, 48);
    return context.getImageData(48, 36, 1, 1).data[0];
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as tools:
        opened = tools.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def result_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_with_video(tmp_path_factory.mktemp("report"), hard_result(SCRIPT), pts_ms=UNEVEN_MS)


@pytest.fixture(scope="module")
def page_path(result_path: Path) -> Path:
    path = result_path.with_name("page.html")
    write_report_page(result_path, path, PageOptions(), NoMessages(), lambda *_: None)
    return path


def open_page(browser: Any, path: Path, **options: Any) -> Any:
    """Open a page that must not report errors, open dialogs or request anything."""
    page = browser.new_page(**options)
    page.set_default_timeout(60_000)
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: message.type == "error" and problems.append(message.text))
    page.on("dialog", lambda dialog: (problems.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda sent: sent.url.startswith(("file:", "blob:", "data:")) or problems.append(sent.url))
    page.goto(path.as_uri())
    page.wait_for_selector("body.ready", state="attached")
    assert problems == []
    return page


def wait_until(page: Any, condition: str) -> None:
    """Wait until an expression is true. The policy of the page forbids `wait_for_function`, which evaluates text."""
    for _ in range(600):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    pytest.fail(condition)


@pytest.fixture(scope="module")
def shared(browser: Any, page_path: Path) -> Any:
    page = open_page(browser, page_path)
    wait_until(page, "document.getElementById('video').readyState >= 2")
    return page


@pytest.fixture
def page(shared: Any) -> Any:
    """Return the page in its first state, except the frame."""
    shared.evaluate("document.activeElement.blur()")
    shared.keyboard.press("Escape")
    return shared


def union(result: VideoResult, frame: int) -> NDArray[np.bool_]:
    masks = [item.segmentations[frame] for item in result.instances]
    return np.any([np.zeros(SIZE, np.bool_), *(decode_rle(mask) for mask in masks if mask is not None)], axis=0)


def drawn(page: Any) -> NDArray[np.bool_]:
    return np.array(list(page.evaluate(ALPHA))).reshape(SIZE) == "1"


def test_masks_decode_as_in_pycocotools(page: Any) -> None:
    rng = np.random.default_rng(0)
    masks = [mask for mask in hard_masks(14, 0) if mask is not None]
    masks += [rng.random((int(rng.integers(1, 40)), int(rng.integers(1, 40)))) < rng.random() for _ in range(40)]
    masks.append(np.arange(3000)[:, None] * np.ones((1, 400)) > 2990)  # long runs
    for mask in masks:
        rle = encode_mask(mask)
        filled = page.evaluate(
            "([counts, width, height]) => { const labels = new Uint16Array(width * height);"
            "fillMask(labels, width, height, counts, 3);"
            "return [labels.reduce((text, label) => text + label, ''), areaOf(counts)]; }",
            [rle["counts"], mask.shape[1], mask.shape[0]],
        )
        assert filled[1] == mask.sum()
        assert (np.array(list(filled[0])).reshape(mask.shape) == "3").tolist() == decode_rle(rle).tolist()


def test_the_canvas_shows_the_masks_of_each_frame(page: Any, result_path: Path) -> None:
    result = read_result(result_path)
    for frame in range(NUM_FRAMES):
        assert page.evaluate(SEEK, frame) == str(frame)
        assert (drawn(page) == union(result, frame)).all(), frame


def test_the_video_shows_the_same_frame_as_the_masks(page: Any) -> None:
    for frame in (0, 3, 4, 7, 13, 17, 19):
        page.evaluate(SEEK, frame)
        assert round((page.evaluate(GREY) - 20) / 10) == frame


def test_an_encoded_video_shows_the_same_frame_as_the_masks(browser: Any, tmp_path: Path) -> None:
    """The video of the other tests is copied. A video with full range is encoded again."""
    path = save_with_video(tmp_path, hard_result(), pts_ms=UNEVEN_MS, pix_fmt="yuvj420p")
    write_report_page(path, tmp_path / "page.html", PageOptions(), NoMessages(), lambda *_: None)
    page = open_page(browser, tmp_path / "page.html")
    wait_until(page, "document.getElementById('video').readyState >= 2")
    for frame in (0, 3, 4, 7, 13, 17, 19):
        page.evaluate(SEEK, frame)
        assert round((page.evaluate(GREY) - 20) / 10) == frame
    page.close()


def test_one_instance_alone(page: Any, result_path: Path) -> None:
    result = read_result(result_path)
    page.click("#all-masks")
    assert page.inner_text("#all-masks") == "Show all masks"
    for index, instance in enumerate(result.instances[:3]):
        box = page.locator(f"#instances tr[data-index='{index}'] input")
        box.check()
        for frame in (index, index + 5):
            page.evaluate(SEEK, frame)
            mask = instance.segmentations[frame]
            expected = np.zeros(SIZE, np.bool_) if mask is None else decode_rle(mask)
            assert (drawn(page) == expected).all()
        box.uncheck()
    page.click("#all-masks")
    assert page.inner_text("#all-masks") == "Hide all masks"


def test_names_stay_text(page: Any) -> None:
    assert page.inner_text("h1") == SCRIPT
    assert page.title().startswith(SCRIPT)
    assert page.locator("main script, main img[onerror], header script").count() == 0
    shown = page.locator("#labels bdi").all_text_contents()
    assert shown[:4] == list(HARD_NAMES[:4])
    page.locator("#labels button").first.click()
    assert page.locator("#selection h3").text_content() == f"1 {SCRIPT}"
    assert f"{SCRIPT} (1)" in page.locator("#filter-category option").all_text_contents()


def test_the_download_is_the_table_of_an_export(page: Any, result_path: Path, tmp_path: Path) -> None:
    write(write_csv, tmp_path / "t.csv", read_result(result_path))
    with page.expect_download() as download:
        page.click("#csv")
    assert download.value.suggested_filename == "page_instances.csv"
    assert Path(download.value.path()).read_bytes() == instances_path(tmp_path / "t.csv").read_bytes()


def test_filter_and_sort(page: Any, tmp_path: Path) -> None:
    page.locator("#instances th button", has_text="Score").click()
    header = page.locator("#instances th[aria-sort]")
    assert header.get_attribute("aria-sort") == "descending"
    page.locator("#instances th button", has_text="Score").click()
    assert header.get_attribute("aria-sort") == "ascending"
    scores = [float(text) for text in page.locator("#instances tbody td:nth-child(5)").all_inner_texts()]
    assert scores == sorted(scores)
    page.locator("#filter-score").fill("0.79")
    assert page.inner_text("#count") == f"3 of {len(HARD_NAMES)} instances"
    assert page.locator("#labels button").count() == page.locator("#instances tbody tr:visible").count() == 3
    with page.expect_download() as download:
        page.click("#csv")
    rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text(encoding="utf-8-sig"), newline="")))
    assert [row["instance"] for row in rows] == ["3", "2", "1"]
    page.locator("#filter-frames").fill("99")
    assert page.locator("#none-listed").is_visible()
    page.locator("#filter-frames").fill("0")
    page.locator("#filter-score").fill("0")
    page.locator("#instances th button", has_text="Id").click()


def test_keys(page: Any) -> None:
    def frame() -> str:
        page.wait_for_timeout(300)
        return str(page.input_value("#frame"))

    page.keyboard.press("Home")
    assert frame() == "0"
    page.keyboard.press("ArrowRight")
    assert frame() == "1"
    page.keyboard.press("Shift+ArrowRight")
    assert frame() == "11"
    page.keyboard.press("End")
    assert frame() == "19"
    page.keyboard.press("ArrowDown")
    assert page.locator("#labels button[aria-pressed=true]").count() == 1
    page.keyboard.press("k")
    assert frame() == "0"
    page.keyboard.press("m")
    assert not drawn(page).any()
    page.keyboard.press("m")
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.click("#help-close")
    assert page.evaluate("document.getElementById('masks').getAttribute('aria-label')").startswith("Frame 0: ")


def test_playing_advances(page: Any) -> None:
    page.evaluate(SEEK, 0)
    page.keyboard.press(" ")
    wait_until(page, "Number(document.getElementById('frame').value) > 3")
    if page.locator("body.playing").count():
        page.keyboard.press(" ")
    assert page.evaluate("document.getElementById('video').paused")


def test_a_missing_file_next_to_the_page(
    browser: Any, result_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_page, "MAX_EMBEDDED_BYTES", 0)
    path = tmp_path / "page.html"
    write_report_page(result_path, path, PageOptions(), NoMessages(), lambda *_: None)
    page = open_page(browser, path)
    wait_until(page, "document.getElementById('video').readyState >= 2")
    page.close()
    (tmp_path / "page_preview.mp4").unlink()
    page = browser.new_page()
    page.goto(path.as_uri())
    page.wait_for_selector("#notice:not([hidden])")
    assert page.inner_text("#notice") == (
        "The video page_preview.mp4 is missing next to this page. The masks are shown without it."
    )
    assert page.evaluate(SEEK, 4) == "4"
    assert (drawn(page) == union(read_result(result_path), 4)).all()
    page.close()


def test_a_narrow_screen_and_no_instances(browser: Any, page_path: Path, tmp_path: Path) -> None:
    page = open_page(browser, page_path, viewport={"width": 360, "height": 640}, color_scheme="dark")
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(15, 18, 22)"
    page.locator("#theme").select_option("light")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(244, 246, 248)"
    page.close()
    result = save_with_video(tmp_path, make_result(size=SIZE, num_frames=3))
    write_report_page(result, tmp_path / "page.html", PageOptions(), NoMessages(), lambda *_: None)
    page = open_page(browser, tmp_path / "page.html")
    assert page.evaluate(SEEK, 2) == "2"
    page.close()
