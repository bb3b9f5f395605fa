"""What a person can make out on a page: contrast of every text, what sticks out, where the keyboard is."""

from typing import Any

from playwright.sync_api import Page

# WCAG 2.2, 1.4.3: 4.5 to 1, and 3 to 1 for large text (24 px, or 18.66 px in bold). Colours are measured by painting
# them, so every notation counts; a background that is not opaque lies on the one behind it.
FAINT = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const paint = (colours) => {
    canvas.globalCompositeOperation = "source-over";
    canvas.fillStyle = "#fff";
    for (const colour of [null, ...colours]) {
      if (colour) canvas.fillStyle = colour;
      canvas.fillRect(0, 0, 1, 1);
    }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const linear = (part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  const light = (rgb) => rgb.reduce((sum, part, at) => sum + linear(part / 255) * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = (element) => {
    const found = [];
    for (let at = element; at; at = at.parentElement) found.unshift(getComputedStyle(at).backgroundColor);
    return found;
  };
  const faint = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    const text = texts.currentNode.textContent.trim();
    if (!text || !element.checkVisibility() || element.closest("noscript")) continue;
    const style = getComputedStyle(element);
    const ground = behind(element);
    const pair = [light(paint([...ground, style.color])), light(paint(ground))].sort((one, other) => other - one);
    const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) faint.push(`${ratio.toFixed(2)} ${text.slice(0, 40)}`);
  }
  return faint;
}"""

STICKING_OUT = """() => {
  const edge = document.documentElement.clientWidth + 0.5;
  const cut = (element) =>
    element.scrollWidth > element.clientWidth + 1 && getComputedStyle(element).overflowX !== "visible";
  return [...document.querySelectorAll("body *")]
    .filter((element) => !element.closest("thead") && element.checkVisibility())
    .filter((element) => element.getBoundingClientRect().right > edge || cut(element))
    .map((element) => `${element.tagName} ${element.textContent.slice(0, 40)}`);
}"""

# The line that says whether the page is live stays on top while the rest moves under it.
FOCUS = """() => {
  const element = document.activeElement;
  const style = getComputedStyle(element);
  const box = element.getBoundingClientRect();
  const line = document.getElementById("state")?.getBoundingClientRect();
  const hidden = line && box.top < line.bottom && box.bottom > line.top;
  return {
    name: (element.textContent || element.name || "").trim(),
    place: [...document.querySelectorAll("a[href], input:not([type=hidden]), button")].indexOf(element),
    outlined: style.outlineStyle === "solid" && parseFloat(style.outlineWidth) >= 2,
    seen: box.bottom > 0 && box.top < innerHeight && !hidden,
  };
}"""


def faint_texts(page: Page) -> list[str]:
    """List the visible texts with too little contrast, each after its ratio."""
    found: list[str] = page.evaluate(FAINT)
    return found


def sticking_out(page: Page) -> list[str]:
    """List the elements that reach beyond the right edge, or are cut off in a box of their own."""
    found: list[str] = page.evaluate(STICKING_OUT)
    return found


def scrolls_sideways(page: Page) -> bool:
    """Tell whether the page is wider than the window."""
    answer: bool = page.evaluate("() => document.documentElement.scrollWidth > document.documentElement.clientWidth")
    return answer


def focused(page: Page) -> dict[str, Any]:
    """Describe the element with the keyboard's focus: name, place in the document's order, outlined, seen."""
    found: dict[str, Any] = page.evaluate(FOCUS)
    return found
