"""The report in a real browser: nothing runs, nothing overflows, keys and colours work."""

from __future__ import annotations

import base64
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

from neuroalign import io
from neuroalign.workflow.paths import Paths

HERE = Path(__file__).parent
browser = SimpleNamespace(**runpy.run_path(str(HERE / "browser.py")))
made_up = SimpleNamespace(**runpy.run_path(str(HERE / "test_report.py")))

# One red pixel.
PNG = "".join(
    [
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk",
        "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
    ]
)
WIDTHS = {"phone": 390, "desktop": 1280}
CONTRAST = """(() => {
  const parts = (c) => c.match(/[\\d.]+/g).map(Number);
  const light = (c) => { const [r, g, b] = parts(c).map((x) => x / 255)
    .map((x) => x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = (e) => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
    if (parts(c).length < 4 || parts(c)[3] > 0) return c; } return "rgb(255, 255, 255)"; };
  const low = [];
  for (const e of document.querySelectorAll("body *")) {
    if (e.tagName === "SCRIPT") continue;
    if (![...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim())) continue;
    const [a, b] = [light(getComputedStyle(e).color), light(behind(e))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) low.push(e.tagName + ": " + e.textContent.trim().slice(0, 40));
  }
  return low; })()"""


@pytest.fixture(scope="module")
def tab():
    where = browser.find()
    if where is None:
        pytest.skip("no chromium is installed")
    with browser.tab(where) as opened:
        yield opened


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    paths = made_up.make(folder, simulated=True, **made_up.STORY)
    for number in paths.figures():
        io.write_bytes(base64.b64decode(PNG), paths.figure(number, "png"))
    made_up.report(paths)
    return paths.report


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS.keys())
def test_page_fits_its_width_and_has_contrast_with_all_opened(tab, page, width, dark, tmp_path):
    tab.open(page, width=width, dark=dark)
    tab.ask("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    assert tab.ask("document.documentElement.scrollWidth") <= width
    assert tab.ask(CONTRAST) == []
    background = tab.ask("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(22, 24, 27)" if dark else "rgb(255, 255, 255)")
    tab.picture(tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 10_000


def test_picture_keeps_its_size_on_a_phone_and_is_scrolled_by_keyboard(tab, page):
    tab.open(page, width=WIDTHS["phone"])
    shown, whole = tab.ask(
        "(() => { const p = document.querySelector('.picture'); return [p.clientWidth, p.scrollWidth]; })()"
    )
    assert shown < 390 and whole > 690
    tab.ask("document.querySelector('.picture').focus()")
    tab.press("ArrowRight", 39)
    assert (
        tab.ask(
            "new Promise((done) => setTimeout(() => "
            "done(document.querySelector('.picture').scrollLeft), 300))"
        )
        > 0
    )
    tab.open(page, width=WIDTHS["desktop"])
    assert tab.ask("document.querySelector('.picture').scrollWidth") <= 992


def test_page_is_printed_in_light_colours(tab, page):
    tab.open(page, dark=True)
    dark = {"name": "prefers-color-scheme", "value": "dark"}
    tab.call("Emulation.setEmulatedMedia", media="print", features=[dark])
    assert tab.ask("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    tab.ask("document.getElementById('theme-dark').click()")
    assert tab.ask("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    tab.call("Emulation.setEmulatedMedia", media="")


def test_nothing_on_the_page_moves_by_itself(tab, page):
    tab.open(page)
    moving = (
        "[...document.querySelectorAll('*')].filter((e) => { const s = getComputedStyle(e); "
        "return s.animationName !== 'none' || parseFloat(s.transitionDuration) > 0 "
        "|| s.scrollBehavior === 'smooth'; }).length"
    )
    assert tab.ask(moving) == 0


def test_script_in_texts_of_the_study_is_shown_and_not_run(tab, page):
    tab.call("Page.addScriptToEvaluateOnNewDocument", source="window.alert = () => { window.ran = true; };")
    tab.open(page)
    assert tab.ask("window.ran") is None
    assert tab.ask("document.body.innerText").count(made_up.SCRIPT) >= 2


def test_script_that_escaping_had_missed_would_not_run_either(tab, page, tmp_path):
    html = page.read_text(encoding="utf-8")
    bad = '<script>window.ran = 1</script><img src="x" onerror="window.ran = 2"></main>'
    (tmp_path / "bad.html").write_text(html.replace("</main>", bad), encoding="utf-8")
    tab.open(tmp_path / "bad.html")
    assert tab.ask("window.ran") is None
    assert tab.ask("document.querySelectorAll('a[data-image]:not([hidden])').length") == 5


def test_picture_is_downloaded_from_its_only_copy(tab, page):
    tab.open(page)
    links = tab.ask(
        "[...document.querySelectorAll('a[data-image]')].map((a) => [a.download, a.href, a.hidden])"
    )
    assert links[0] == ["mine-figure1.png", f"data:image/png;base64,{PNG}", False]
    assert page.read_text(encoding="utf-8").count(PNG) == len(Paths(made_up.study(**made_up.STORY)).figures())


def test_skip_link_comes_first_is_seen_and_leads_to_the_content(tab, page):
    tab.open(page)
    tab.press("Tab", 9)
    assert tab.ask("document.activeElement.className") == "skip"
    assert tab.ask("document.activeElement.getBoundingClientRect().left") >= 0
    tab.call("Input.dispatchKeyEvent", type="keyDown", key="Enter", windowsVirtualKeyCode=13, text="\r")
    assert tab.ask("location.hash") == "#content"
    assert tab.ask("document.activeElement.id") == "content"


def test_colours_are_chosen_by_keyboard(tab, page):
    tab.open(page, dark=False)
    tab.press("Tab", 9)
    tab.press("Tab", 9)
    assert tab.ask("document.activeElement.id") == "theme-system"
    seen = []
    for _ in range(2):
        tab.press("ArrowRight", 39)
        seen.append(tab.ask("[document.activeElement.id, getComputedStyle(document.body).backgroundColor]"))
    assert seen == [["theme-light", "rgb(255, 255, 255)"], ["theme-dark", "rgb(22, 24, 27)"]]
    assert tab.ask("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_light_can_be_chosen_where_the_system_is_dark(tab, page):
    tab.open(page, dark=True)
    tab.ask("document.getElementById('theme-light').click()")
    assert tab.ask("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert tab.ask(CONTRAST) == []


def test_browser_finds_names_and_roles_for_a_screen_reader(tab, page):
    tab.open(page)
    nodes = tab.call("Accessibility.getFullAXTree")["nodes"]
    roles = {}
    for node in nodes:
        if not node.get("ignored"):
            role = node["role"]["value"]
            roles.setdefault(role, []).append(node.get("name", {}).get("value", ""))
    assert {"main", "navigation", "banner", "contentinfo", "heading", "image", "radio"} <= set(roles)
    for role in ("image", "link", "region", "radio", "heading", "navigation"):
        assert all(roles[role]), role
    assert roles["radio"] == ["System", "Light", "Dark"]
