"""Colours that stay readable, whatever a tenant chose (WCAG 2: contrast of 4.5 for text, 3 for signs)."""

from __future__ import annotations

Rgb = tuple[int, int, int]
TEXT_CONTRAST = 4.5
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)
LIGHT_SURFACE, DARK_SURFACE = "#ffffff", "#1a2029"


def parse(colour: str) -> Rgb:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def write(rgb: Rgb) -> str:
    return "#{:02x}{:02x}{:02x}".format(*rgb)


def luminance(rgb: Rgb) -> float:
    parts = [part / 255 for part in rgb]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: Rgb, other: Rgb) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def text_on(background: str) -> str:
    """Black or white, whichever is easier to read on `background`; at least 4.5 on any."""
    rgb = parse(background)
    return write(max((_WHITE, _BLACK), key=lambda text: contrast(text, rgb)))


def readable(colour: str, background: str, wanted: float = TEXT_CONTRAST) -> str:
    """`colour`, moved towards black or white until it can be read on `background`."""
    rgb, surface = parse(colour), parse(background)
    target = parse(text_on(background))
    for step in range(0, 101, 4):
        mixed = mix(rgb, target, step / 100)
        if contrast(mixed, surface) >= wanted:
            return write(mixed)
    return write(target)


def mix(one: Rgb, other: Rgb, share: float) -> Rgb:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def style_sheet(primary: str, secondary: str) -> str:
    """The custom properties that the pages' style sheet is written with."""
    common = {
        "--brand": primary,
        "--on-brand": text_on(primary),
        "--brand-2": secondary,
        "--on-brand-2": text_on(secondary),
    }
    light = common | {"--link": readable(primary, "#f4f6f9")}
    dark = common | {"--link": readable(primary, DARK_SURFACE)}
    return (
        f":root{_block(light)}\n"
        f"@media (prefers-color-scheme: dark) {{ :root{_block(dark)} }}\n"
        f':root[data-theme="light"]{_block(light)}\n'
        f':root[data-theme="dark"]{_block(dark)}\n'
    )


def _block(properties: dict[str, str]) -> str:
    return " { " + " ".join(f"{name}: {value};" for name, value in properties.items()) + " }"
