"""A watcher inside a GIMP with a window: it runs code, and describes the photo.

Code in the file named by ATELIER_TEST_CODE is run once. Then the file named by ATELIER_TEST_IMAGE describes
the image that was opened from ATELIER_TEST_PHOTO, and the code's file is deleted. Other images are not read:
a filter may close its style picture, which is an image, too, and GIMP kills a plug-in that reads from a
closed image. Exceptions are printed into GIMP's log.
"""

from __future__ import annotations

import hashlib
import json
import os
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gi

gi.require_versions({"Gegl": "0.4", "Gimp": "3.0"})
from gi.repository import Gegl, Gimp, GLib

EVERY_MS = 20
FILE, CODE = Path(os.environ["ATELIER_TEST_IMAGE"]), Path(os.environ["ATELIER_TEST_CODE"])
PHOTO = os.environ["ATELIER_TEST_PHOTO"]


def watch() -> bool:
    """Process the code file, if there is one, and return True so that GLib calls again.

    After an exception GLib would not call again, so it is only printed.
    """
    try:
        if CODE.exists():
            answer()
    except Exception:
        traceback.print_exc()
    return True


def answer() -> None:
    """Run the code, describe the photo, and delete the code's file."""
    exec(CODE.read_text(), {})
    CODE.write_text("")  # if the photo cannot be described now, only that is tried again
    FILE.write_text(json.dumps(describe_photo()))
    CODE.unlink()


def describe_photo() -> dict[str, Any]:
    """Describe the photo; return an empty description while it is not open."""
    for image in Gimp.get_images():
        file = image.get_file()
        if file and file.get_path() == PHOTO:
            return describe(image)
    return {}


def describe(image: Gimp.Image) -> dict[str, Any]:
    """Describe an image: whether it has changed, its selection, and its layers, top first."""
    _done, _selected, left, top, right, bottom = Gimp.Selection.bounds(image)
    return {
        "changed": image.is_dirty(),
        "selected box": [left, top, right - left, bottom - top],
        "selection": digest(image.get_selection(), (0, 0, image.get_width(), image.get_height())),
        "layers": [describe_layer(image, layer) for layer in image.get_layers()],
    }


def describe_layer(image: Gimp.Image, layer: Gimp.Layer) -> dict[str, Any]:
    """Describe a layer: name, box, pixels, mask, settings, and the selection within its box."""
    width, height = layer.get_width(), layer.get_height()
    box = [*layer.get_offsets()[1:], width, height]
    mask, selection = layer.get_mask(), image.get_selection()
    settings = layer.get_parasite("atelier-settings")
    return {
        "name": layer.get_name(),
        "box": box,
        "pixels": read(layer, (0, 0, width, height), bool(settings)),
        "mask": read(mask, (0, 0, width, height), bool(settings)) if mask else None,
        "settings": json.loads(bytes(settings.get_data())) if settings else None,
        "selected": None if Gimp.Selection.is_empty(image) else digest(selection, box),
    }


DIGESTS: dict[int, str] = {}


def read(drawable: Gimp.Drawable, box: Sequence[int], is_new: bool) -> str:
    """Return the digest of a drawable's pixels; of a filter's new layer, they are read only once.

    An undo may remove a new layer at any time, and GIMP kills a plug-in that then reads from it.
    """
    key = drawable.get_id()
    if key in DIGESTS:
        return DIGESTS[key]
    found = digest(drawable, box)
    if is_new:
        DIGESTS[key] = found
    return found


def digest(drawable: Gimp.Drawable, box: Sequence[int]) -> str:
    """Return the SHA-256 of a box of pixels in their stored format."""
    pixels = drawable.get_buffer().get(Gegl.Rectangle.new(*box), 1.0, None, Gegl.AbyssPolicy.NONE)
    return hashlib.sha256(pixels).hexdigest()


GLib.timeout_add(EVERY_MS, watch)
GLib.MainLoop().run()
