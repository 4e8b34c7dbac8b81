"""The plug-in's help pages, plugin/atelier/help/en: what GIMP opens for Help in the dialogs and for F1.

    PYTHONPATH=plugin/atelier ~/.cache/atelier-tests/venv/bin/python docs/make_help.py

The tables of settings are made from the settings themselves. Run it after every change of them; a test
compares the pages. `gimp-help.xml` tells GIMP which page belongs to which procedure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path

from atelier_shared.settings import Choice, Number, Setting
from host.filters import FILTERS, Filter, PictureArgument
from host.layers_as_frames import LAYERS_AS_FRAMES

FOLDER = Path(__file__).parents[1] / "plugin" / "atelier" / "help" / "en"
PREFIX = "plug-in-atelier-"
STYLE = """
body { font: 16px/1.5 sans-serif; max-width: 48em; margin: 2em auto; padding: 0 1em }
table { border-collapse: collapse; width: 100% }
th, td { border-bottom: 1px solid #ccc; padding: .3em .6em .3em 0; text-align: start; vertical-align: top }
td:first-child { white-space: nowrap; font-weight: bold }
"""
SELECT = (
    "Select one layer. To change only a part of it, select that part; a feathered selection gives a soft"
    " edge."
)
FIRST_STEPS = {
    "style-transfer": (
        SELECT,
        "Choose a style in the gallery: one of the built-in styles, a picture file, a layer or a pattern.",
        "Look at the preview, and change the settings until you like it.",
        "Press Run. The result is a new layer above yours. Ctrl+Z removes it.",
    ),
    "deepdream": (
        SELECT,
        "Choose a preset in the gallery, or a guide picture whose features appear in the dream.",
        "Look at the preview, and change the settings until you like it.",
        "Press Run. The result is a new layer above yours. Ctrl+Z removes it.",
    ),
    "visualise": (
        "Select one layer; the pictures replace it in the new layer. Its size is that of the sheet.",
        "Enter the names of classes, such as starfish, banana; or show the channels of a network's layer.",
        "Press Run. The result is a new layer above yours. Ctrl+Z removes it.",
    ),
}
ABOUT = {
    "style-transfer": (
        "<p><b>Fine</b> paints the picture in many steps and gives the best result. It takes minutes without"
        " a graphics card. <b>Fast</b> and <b>Light</b> paint any style in one pass. <b>Gallery</b> paints 26"
        " built-in styles in one pass and needs no style picture. A layer larger than the working size gets"
        " finer strokes, down to its own pixels.</p>"
    ),
    "deepdream": (
        "<p>A neural network looks at the layer, and what it detects is strengthened. Shallow layers of"
        " the network strengthen strokes and ripples, middle ones eyes, fur and snouts, deep ones larger"
        " things. The work begins at a small size and goes on at larger ones, the octaves.</p>"
    ),
    "visualise": (
        "<p>A picture is made from noise, in steps, until a part of a neural network responds to it strongly:"
        " a class, which stands for a kind of thing, or a channel of one of its layers. Several classes are"
        " shown side by side, in rows; all channels of a layer are shown as a contact sheet, channel 0 in the"
        " upper left corner. <code>atelier classes</code> in a terminal lists the 1000 classes.</p>"
    ),
}
FRAMES_HELP = """
<h2>Animations</h2>
<p>With several layers, <b>Layers as frames</b> says which of them are the frames of an animation, from bottom
to top. Each frame follows the motion from the one before it. The result is a new image: <i>Filters ▸
Animation ▸ Playback</i> plays it, <i>File ▸ Export As…</i> writes it as GIF or WebP, with the durations in
the layers' names, such as (100ms). Run <code>python3 install.py --video</code> in a terminal before the first
animation.</p>
"""
PREVIEW = """
<h2>The preview</h2>
<p>The preview is made by the same method as the result. A quick picture comes first; it is refined while
you change nothing. A dimmed preview belongs to earlier settings.</p>
<table>
<tr><td>Before</td><td>show the original layer; holding a mouse button on the preview does the same</td></tr>
<tr><td>Split</td><td>show the original to the left of a line, which you can drag</td></tr>
<tr><td>Detail 1:1</td><td>show a part at full size</td></tr>
<tr><td>mouse wheel, + and −</td><td>enlarge or reduce the preview</td></tr>
<tr><td>dragging, arrow keys</td><td>move the visible part</td></tr>
</table>
<p>The strip below it shows the results since GIMP was started. Click one to see it to the left of the line;
double-click it, or press the button beside the strip, to bring its settings back.</p>
"""
RUN = """
<h2>The run</h2>
<p>The dialog shows the time left and the picture as it grows. <b>Cancel</b> returns to the settings.
<b>Stop and keep</b> ends the run early and keeps the picture as it is. The first run takes a few seconds
longer, because Atelier's backend, the program that computes, has to start. Your pictures never leave your
computer.</p>
<h2>Trouble</h2>
<table>
<tr><td>The entry in the menu is grey</td><td>Open an image and select exactly one layer. Convert an indexed
image with <i>Image ▸ Mode ▸ RGB</i>.</td></tr>
<tr><td>There is not enough memory</td><td>Choose a smaller working size.</td></tr>
<tr><td>Anything else</td><td>Run <code>atelier doctor</code> in a terminal.</td></tr>
</table>
"""


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, content in files().items():
        (FOLDER / name).write_text(content, encoding="utf-8")


def files() -> dict[str, str]:
    """Return the content of every file, by name."""
    pages = {page_name(name): page(name.removeprefix(PREFIX), chosen) for name, chosen in FILTERS.items()}
    return {"gimp-help.xml": index(FILTERS), **pages}


def page_name(procedure: str) -> str:
    return procedure.removeprefix(PREFIX) + ".html"


def index(filters: Mapping[str, Filter]) -> str:
    items = (
        f'  <help-item id="{name}" ref="{page_name(name)}" title="{escape(chosen.title)}" />'
        for name, chosen in filters.items()
    )
    return "\n".join(['<?xml version="1.0" encoding="UTF-8"?>', "<gimp-help>", *items, "</gimp-help>", ""])


def page(name: str, chosen: Filter) -> str:
    steps = "\n".join(f"<li>{escape(step)}</li>" for step in FIRST_STEPS[name])
    rows = "\n".join(table_rows(chosen))
    frames = FRAMES_HELP.lstrip() if LAYERS_AS_FRAMES in chosen.settings else ""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{escape(chosen.title)} – Atelier</title>
<style>{STYLE}</style>
</head>
<body>
<h1>{escape(chosen.title)}</h1>
<p>{escape(chosen.blurb)}.</p>
<ol>
{steps}
</ol>
{ABOUT[name]}
{PREVIEW.strip()}
{frames}<h2>Settings</h2>
<table>
<tr><th>Setting</th><th>Effect</th><th>Values</th></tr>
{rows}
</table>
{RUN.strip()}
</body>
</html>
"""


def table_rows(chosen: Filter) -> Iterator[str]:
    for each in (*chosen.picture_arguments, *chosen.settings):
        cells = (without_mnemonic(each.label), each.help, values_of(each))
        yield "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"


def values_of(each: Setting | PictureArgument) -> str:
    """Describe the values of a setting; the default comes first."""
    if isinstance(each, Number):
        return f"{each.default:g} ({each.low:g} to {each.high:g})"
    if isinstance(each, Choice):
        return "; ".join(dict.fromkeys((each.options[each.default], *each.options.values())))
    return ""


def without_mnemonic(label: str) -> str:
    return label.replace("_", "")


if __name__ == "__main__":
    main()
