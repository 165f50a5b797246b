"""The chart in a real browser: drawn without a network, without a word on the console, light and dark."""

from __future__ import annotations

import datetime as dt
import json
import pathlib
import re
import shutil
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tradeutils.analysis.levels import support_resistance, swings, volume_profile
from tradeutils.analysis.patterns import PATTERNS, find
from tradeutils.cli.chart import lines_of
from tradeutils.cli.computing import columns_of, parse_specs
from tradeutils.cli.drawing import Finding, draw, level_lines, pattern_marks, profile_of, render, swing_marks
from tradeutils.model import Candles

pytestmark = pytest.mark.browser

MINUTE = 60_000
START = 1_706_659_200_000
QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


def candles(bars: int, missing: range = range(0)) -> Candles:
    """Return one-minute candles that wander, without those numbered ``missing``."""
    rows = np.setdiff1d(np.arange(bars), np.array(missing, dtype=np.int64))
    close = 100.0 + np.cumsum(np.random.default_rng(7).normal(0, 0.2, bars))[rows]
    opened = np.r_[close[0], close[:-1]]
    return Candles(
        symbol="BTC/USDT",
        timeframe="1m",
        time=START + rows * MINUTE,
        open=opened,
        high=np.maximum(opened, close) + 0.1,
        low=np.minimum(opened, close) - 0.1,
        close=close,
        volume=np.full(len(rows), 5.0),
    )


FOUND = candles(2000, range(1700, 1720))


def findings_of(drawn: Candles) -> list[Finding]:
    """Return all that can be found in candles."""
    profile = profile_of(volume_profile(drawn), drawn)
    assert profile is not None
    return [
        *pattern_marks(find(drawn), drawn),
        *level_lines(support_resistance(drawn), drawn),
        *swing_marks(swings(drawn), drawn),
        profile,
    ]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pathlib.Path]:
    """Write charts: with every kind of line and a gap, with findings, of 10,000 bars, and with a hostile name."""
    specs = parse_specs(["ema:20", "bbands:20,2", "rsi:14", "macd", "atr:14"])
    folder = tmp_path_factory.mktemp("charts")
    written = {}
    for name, drawn in {"all": candles(600, range(550, 560)), "long": candles(10_000)}.items():
        written[name] = folder / f"{name}.html"
        written[name].write_bytes(render(draw(drawn, lines_of(specs, columns_of(drawn, specs)))))
    written["found"] = folder / "found.html"
    written["found"].write_bytes(render(draw(FOUND, findings=findings_of(FOUND))))
    hostile = "<img src=x onerror=console.error(1)></script><script>console.error(2)</script>"
    written["hostile"] = folder / "hostile.html"
    written["hostile"].write_bytes(render(draw(candles(50), title=hostile)))
    return written


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Start the system's Chromium, headless, with a profile of its own; skip where there is none."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium: apt install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install playwright")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=found, args=list(QUIET))
        yield opened
        opened.close()


def minute(time: int) -> str:
    """Return a time as the chart writes it."""
    return dt.datetime.fromtimestamp(time / 1000, dt.UTC).strftime("%Y-%m-%d %H:%M")


class Page:
    """A page that was opened, and everything it said or asked for."""

    def __init__(self, browser: Any, path: pathlib.Path, scheme: str = "light") -> None:
        self.context = browser.new_context(color_scheme=scheme, viewport={"width": 1200, "height": 900}, offline=True)
        self.tab = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.tab.on("console", lambda message: self.said.append(message.text))
        self.tab.on("pageerror", lambda error: self.said.append(str(error)))
        self.tab.on("request", lambda request: self.asked.append(request.url))
        self.tab.goto(path.as_uri())
        self.tab.wait_for_selector("html[data-drawn=yes]", state="attached", timeout=60_000)

    def look(self, expression: str) -> Any:
        """Return the value of an expression in which ``div`` is the chart."""
        return self.tab.evaluate(f"() => {{ const div = document.getElementById('chart'); return {expression}; }}")

    def color(self, selector: str, attribute: str) -> str:
        """Return a computed colour of the first element of a selector."""
        found: str = self.tab.evaluate(
            "([s, a]) => getComputedStyle(document.querySelector(s))[a]", [selector, attribute]
        )
        return found

    def point_at(self, time: int) -> str:
        """Point at a bar and return what is told of it."""
        across = self.look(f"div._fullLayout.xaxis.d2p({time}) + div._fullLayout._size.l")
        box = self.tab.locator("#chart").bounding_box()
        self.tab.mouse.move(box["x"] + across, box["y"] + 300)
        self.tab.wait_for_selector(f".hoverlayer .legend:has-text('{minute(time)}')")
        return str(self.tab.text_content(".hoverlayer .legend"))

    def show(self, bars: str) -> None:
        """Press the button for so many bars and wait for it."""
        self.tab.click(f"button[data-bars='{bars}']")
        self.tab.wait_for_selector(f"button[data-bars='{bars}'][aria-pressed=true]")


@pytest.fixture
def opened(browser: Any) -> Iterator[Any]:
    """Return a function that opens a page; close them all at the end."""
    pages: list[Page] = []

    def open_page(path: pathlib.Path, scheme: str = "light") -> Page:
        pages.append(Page(browser, path, scheme))
        return pages[-1]

    yield open_page
    for page in pages:
        page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["all", "long", "found", "hostile"])
def test_chart_opens_without_a_word_and_asks_for_nothing(
    opened: Any, pages: dict[str, pathlib.Path], name: str, scheme: str
) -> None:
    """No error, warning or note on the console; the one request is for the file itself."""
    page = opened(pages[name], scheme)
    page.show("50")
    page.show("all")
    page.tab.mouse.move(600, 200)
    page.tab.wait_for_selector(".hoverlayer .legend")
    assert page.said == []
    assert page.asked == [pages[name].as_uri()]


def test_newest_bars_are_drawn_first(opened: Any, pages: dict[str, pathlib.Path]) -> None:
    """250 of them; plotly is given those and as many again, not all ten thousand."""
    page = opened(pages["long"])
    first, last = page.look("div.layout.xaxis.range.map((t) => typeof t === 'number' ? t : Date.parse(t + 'Z'))")
    assert round((last - first) / MINUTE) == 250
    assert last == START + 9_999 * MINUTE + MINUTE // 2
    assert page.look("div.data[0].x.length") == 500
    page.show("all")
    assert page.look("div.data[0].x.length") == 10_000


def test_candles_and_lines_are_on_the_page(opened: Any, pages: dict[str, pathlib.Path]) -> None:
    """A path for each candle, each line by its name, the gap as a strip."""
    page = opened(pages["all"])
    page.show("50")
    assert page.tab.locator(".boxlayer path.box").count() >= 50
    names = set(page.tab.locator("text[class^=legend]").all_text_contents())
    assert {"ema:20", "bbands:20,2", "rsi:14", "macd", "macd signal", "macd histogram", "atr:14", "volume"} <= names
    assert page.tab.locator(".shapelayer path").count() >= 1
    assert "1 gaps, 10 bars missing" in page.tab.inner_text("header")


def test_value_axis_follows_what_is_seen(opened: Any, pages: dict[str, pathlib.Path]) -> None:
    """Fewer bars, a narrower scale: it reaches as far as the candles and lines in sight and little farther."""
    page = opened(pages["long"])
    page.show("all")
    wide = page.look("div.layout.yaxis.range")
    page.show("50")
    low, high = page.look("div.layout.yaxis.range")
    assert wide[0] < low < high < wide[1]
    newest = candles(10_000)[-50:]
    assert low <= newest.low.min()
    assert high >= newest.high.max()
    assert page.look("div.layout.yaxis3.range") == [0, 100]


def test_chart_is_moved_by_dragging_and_reset_by_a_double_click(opened: Any, pages: dict[str, pathlib.Path]) -> None:
    """Dragging to the right shows older bars, with data in them and the scale of what is seen."""
    page = opened(pages["long"])
    seen = "div.layout.xaxis.range.map((t) => typeof t === 'number' ? t : Date.parse(t.replace(' ', 'T') + 'Z'))"
    before = page.look(seen)
    page.tab.mouse.move(300, 250)
    page.tab.mouse.down()
    page.tab.mouse.move(900, 250, steps=5)
    page.tab.mouse.up()
    page.tab.wait_for_function("() => !document.querySelector('button[aria-pressed=true]')")
    after = page.look(seen)
    assert after[0] < before[0] - 100 * MINUTE
    assert page.look("div.data[0].x.some((t) => t < " + str(after[0]) + ")")
    page.tab.mouse.dblclick(600, 250)
    page.tab.wait_for_selector("button[data-bars='250'][aria-pressed=true]")
    assert page.look(seen) == before
    assert page.said == []


def test_name_that_is_clicked_hides_its_line(opened: Any, pages: dict[str, pathlib.Path]) -> None:
    """And it stays hidden when the bars shown change; the scale no longer makes room for it."""
    page = opened(pages["all"])
    page.show("250")
    page.tab.locator(".legendtoggle").nth(1).click()  # the band
    page.tab.wait_for_function("() => document.getElementById('chart').data.some((t) => t.visible === 'legendonly')")
    hidden = "div.data.filter((t) => t.visible === 'legendonly').map((t) => t.name)"
    assert set(page.look(hidden)) == {"bbands:20,2", "bbands:20,2 upper", "bbands:20,2 lower"}
    page.show("50")
    assert "bbands:20,2" in page.look(hidden)
    assert page.said == []


def test_colours_follow_the_reader_s_scheme(opened: Any, pages: dict[str, pathlib.Path]) -> None:
    """Page, plot and lines change together when the scheme does, without a reload and without losing the place."""
    page = opened(pages["all"], "light")
    page.show("50")
    light = (page.color("body", "backgroundColor"), page.look("div.layout.plot_bgcolor"))
    line = page.look("div.data.find((t) => t.name === 'ema:20').line.color")
    seen = page.look("div.layout.xaxis.range")
    page.tab.emulate_media(color_scheme="dark")
    page.tab.wait_for_function(f"() => document.getElementById('chart').layout.plot_bgcolor !== {json.dumps(light[1])}")
    dark = (page.color("body", "backgroundColor"), page.look("div.layout.plot_bgcolor"))
    assert light == ("rgb(255, 255, 255)", "#ffffff")
    assert dark == ("rgb(17, 21, 29)", "#11151d")
    assert page.look("div.data.find((t) => t.name === 'ema:20').line.color") != line
    assert page.look("div.layout.xaxis.range") == seen
    assert page.said == []


def test_hostile_name_is_shown_as_text(opened: Any, pages: dict[str, pathlib.Path]) -> None:
    """It is the heading, letter for letter, and no element was made of it."""
    page = opened(pages["hostile"])
    assert page.tab.inner_text("h1").startswith("<img src=x onerror=console.error(1)></script>")
    assert page.tab.locator("img").count() == 0
    assert page.said == []


TRACE = "div.data.find((t) => t.name === '{}')"


def hits_at(row: int) -> set[str]:
    """Return the titles of the patterns at a bar that are drawn from the start."""
    found = find(FOUND)
    names = {name for name, values in found.items() if values[row]}
    return {PATTERNS[name].title for name in names if PATTERNS[name].bars > 1 and PATTERNS[name].bias != "neutral"}


def test_bar_that_is_pointed_at_tells_its_own_patterns(opened: Any, pages: dict[str, pathlib.Path]) -> None:
    """Its own, not those of a mark close by; a bar without any tells none."""
    page = opened(pages["found"])
    page.show("50")
    newest = range(len(FOUND) - 50, len(FOUND))
    marked = [row for row in newest if hits_at(row)]
    bare = [row for row in newest if not hits_at(row) and hits_at(row - 1)]
    assert marked
    assert bare
    for row in (*marked[:3], *bare[:2]):
        told = page.point_at(int(FOUND.time[row]))
        assert set(re.findall("[▲▼] ([^,▲▼]+), (?:bullish|bearish)", told)) == hits_at(row)


def test_swing_tells_when_it_was_confirmed(opened: Any, pages: dict[str, pathlib.Path]) -> None:
    """At the bar of the swing, five bars before it was known."""
    page = opened(pages["found"])
    page.show("50")
    swing = next(swing for swing in swings(FOUND).rows() if swing.at > len(FOUND) - 45)
    told = page.point_at(int(FOUND.time[swing.at]))
    assert f"confirmed {minute(int(FOUND.time[swing.confirmed]))}, 5 bars later" in told


def test_marks_of_a_kind_do_not_lie_on_one_another(opened: Any, pages: dict[str, pathlib.Path]) -> None:
    """All two thousand bars at once, or fifty; close to, every one is there."""
    page = opened(pages["found"])
    for bars in ("all", "50"):
        page.show(bars)
        for name in ("bullish patterns", "bearish patterns", "swing highs", "swing lows"):
            across = page.look(f"{TRACE.format(name)}.x.map((t) => div._fullLayout.xaxis.d2p(t))")
            assert min(np.diff(across), default=99) > 8
    shown = page.look(f"{TRACE.format('swing highs')}.x")
    assert set(shown) == {
        FOUND.time[swing.at] for swing in swings(FOUND).rows() if swing.is_high and FOUND.time[swing.at] >= shown[0]
    }


def test_name_that_is_clicked_shows_what_was_hidden(opened: Any, pages: dict[str, pathlib.Path]) -> None:
    """Patterns of one bar are on every other bar; they are told of only where they are drawn."""
    page = opened(pages["found"])
    page.show("50")
    one = {name for name, pattern in PATTERNS.items() if pattern.bars == 1}
    found = find(FOUND)
    name, row = next(
        (name, row) for row in range(len(FOUND) - 1, 0, -1) for name in sorted(one) if found[name][row] != 0
    )  # fmt: skip
    title, time = PATTERNS[name].title, int(FOUND.time[row])
    assert f"{title}, " not in page.point_at(time)
    names = page.tab.locator("g.legend .traces")
    names.filter(has_text="patterns of one bar").locator(".legendtoggle").click()
    page.tab.wait_for_function("() => document.getElementById('chart').data.every((t) => t.visible !== 'legendonly')")
    page.tab.wait_for_function("() => document.getElementById('chart').data[0].text.join().includes('◆')")
    assert f"{title}, " in page.point_at(time)
    assert page.said == []


def test_levels_are_labelled_without_lying_on_one_another(opened: Any, pages: dict[str, pathlib.Path]) -> None:
    """Each label stands at its line; what else is known of a level is told when its label is pointed at."""
    page = opened(pages["found"])
    page.show("all")
    labels = page.tab.locator(".annotation-text-g")
    texts = labels.all_text_contents()
    assert 2 <= len(texts) <= 15
    assert {"S", "R"} <= {text[0] for text in texts}
    tops = sorted(labels.nth(at).bounding_box()["y"] for at in range(len(texts)))
    assert min(np.diff(tops)) >= 13
    strong = next(at for at, text in enumerate(texts) if text[0] in "SR")
    labels.nth(strong).hover()
    page.tab.wait_for_selector(".hoverlayer .hovertext")
    told = page.tab.text_content(".hoverlayer .hovertext")
    assert texts[strong].split()[1] in told
    for word in ("touches", "first touch", "last touch", "known 5 bars later"):
        assert word in told
    assert page.said == []


def test_levels_go_with_their_labels(opened: Any, pages: dict[str, pathlib.Path]) -> None:
    """A click on the name of the lines takes the labels away, too."""
    page = opened(pages["found"])
    page.show("all")
    names = page.tab.locator("g.legend .traces")
    names.filter(has_text="resistance").locator(".legendtoggle").click()
    page.tab.wait_for_function(
        "() => !document.getElementById('chart').layout.annotations.some((one) => one.text.startsWith('R'))"
    )
    assert {text[0] for text in page.tab.locator(".annotation-text-g").all_text_contents()} >= {"S"}
    assert page.said == []


def test_levels_far_away_do_not_press_the_candles_flat(opened: Any, pages: dict[str, pathlib.Path]) -> None:
    """The value axis follows the candles; lines and labels outside of it are not seen."""
    page = opened(pages["found"])
    page.show("50")
    low, high = page.look("div.layout.yaxis.range")
    newest = FOUND[-50:]
    span = newest.high.max() - newest.low.min()
    assert newest.low.min() - 0.2 * span < low < newest.low.min()
    assert newest.high.max() < high < newest.high.max() + 0.2 * span
    labels = page.look("div.layout.annotations.map((one) => one.y)")
    assert all(low <= price <= high for price in labels)


def test_findings_follow_the_reader_s_scheme(opened: Any, pages: dict[str, pathlib.Path]) -> None:
    """Marks, lines, labels and the profile change with the page."""
    page = opened(pages["found"], "light")
    page.show("all")
    looks = (
        TRACE.format("bullish patterns") + ".marker.color",
        TRACE.format("support") + ".line.color",
        "div.layout.annotations[0].font.color",
        "div.layout.annotations[0].bgcolor",
        "div.data.find((t) => t.orientation === 'h').marker.color[0]",
    )
    light = [page.look(look) for look in looks]
    page.tab.emulate_media(color_scheme="dark")
    page.tab.wait_for_function("() => document.getElementById('chart').layout.plot_bgcolor === '#11151d'")
    assert all(page.look(look) != before for look, before in zip(looks, light, strict=True))
    assert page.said == []
