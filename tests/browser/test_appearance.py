"""Themes, phones, keyboards and browsers without JavaScript."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from conftest import MEASURE, Server
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.apt

PAGES = [
    "/",
    MEASURE,
    f"{MEASURE}?time=release&range=7d&band=on&smooth=3h",
    f"{MEASURE}?split=country",
    f"{MEASURE}?a.version=61.0&b.version=60.0",
    "/measure/Firefox/beta/usage_hours",
    "/channel/Firefox/release?by=os_name&measure=main_crashes&all=1",
    "/channel/Firefox/beta?show=count",
    "/channel/Firefox/nowhere",
    "/verdicts",
    "/calibration",
    "/pipeline",
    "/history",
    "/releases",
    "/alerts",
    "/registry",
    "/registry/os_name",
    "/registry/main_crashes?look=1",
    "/registry?add=probe",
    "/registry?add=measure",
    "/registry?add=toml",
    "/docs/api",
]
CONTRAST = """() => {
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map(c => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const parse = text => text.match(/[\\d.]+/g).map(Number);
  const ground = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
    if (!own || !element.getClientRects().length || element.closest("label:has(:disabled)")) continue;
    const [a, b] = [luminance(parse(getComputedStyle(element).color)), luminance(ground(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push(`${element.outerHTML.slice(0, 80)} ${ratio.toFixed(2)}`);
  }
  return poor;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", PAGES)
def test_text_has_the_contrast_that_wcag_aa_asks_for(
    open_page: Callable[..., Page], server: Server, scheme: str, path: str
) -> None:
    page = open_page(color_scheme=scheme)
    page.goto(server.url + path)
    assert page.evaluate(CONTRAST) == []


@pytest.mark.parametrize("path", PAGES)
def test_a_phone_never_scrolls_sideways(open_page: Callable[..., Page], server: Server, path: str) -> None:
    page = open_page(viewport={"width": 390, "height": 844})
    page.goto(server.url + path)
    page.wait_for_load_state("networkidle")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_dark_follows_the_system_and_the_button_overrides_it(
    open_page: Callable[..., Page], server: Server
) -> None:
    page = open_page(color_scheme="dark")
    page.goto(server.url + MEASURE)
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    page.locator("[data-theme-toggle]").click()
    light = page.evaluate(ground)
    assert dark != light
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    assert page.evaluate(ground) == light


def test_tables_and_links_work_without_javascript(open_page: Callable[..., Page], server: Server) -> None:
    page = open_page(java_script_enabled=False)
    page.goto(server.url)
    page.locator("section", has_text="Firefox for desktop release").locator(
        "figcaption a:not([data-computed-sql])"
    ).first.click()
    expect(page.locator("[data-numbers] tbody tr").nth(5)).to_contain_text("200")
    page.locator(".segmented label", has_text="Count").click()
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("[data-numbers] thead")).to_contain_text("crashes")
    page.locator("#value-all").fill("Windows_NT")
    page.locator("#dimension-all").select_option("os_name")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator(".chip")).to_contain_text("Windows_NT")
    page.locator("select[name=channel]").select_option("beta")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("h1")).to_contain_text("Firefox beta")


def test_every_control_can_be_reached_and_named_by_keyboard_users(page: Page, server: Server) -> None:
    page.goto(server.url + MEASURE)
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll("input:not([type=hidden]), select, button")]
          .filter(e => e.getClientRects().length)
          .filter(e => !(e.labels?.length || e.getAttribute("aria-label") || e.textContent.trim()))
          .map(e => e.outerHTML)"""
    )
    assert unnamed == []


def test_lines_differ_by_dashes_and_names_and_not_by_colour_alone(page: Page, server: Server) -> None:
    page.goto(server.url + "/measure/Firefox/beta/usage_hours")
    dashes = page.locator("tr[data-line] svg.key").evaluate_all(
        "keys => keys.map(key => getComputedStyle(key).strokeDasharray)"
    )
    assert len(dashes) == len(set(dashes)) == 5
