"""Runs inside GIMP beside its window: keeps writing into a file what the photo that it shows holds.

The file, named by ATELIER_TEST_IMAGE, holds what `describe` says of the image that was opened from
ATELIER_TEST_PHOTO. No other image is looked at: a filter may close its style picture, which is an image
too, and GIMP kills a plug-in that reads from an image that is gone.
Code that is put into the file named by ATELIER_TEST_CODE is run once and the file deleted. Whatever is
raised is printed, into GIMP's log.
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

EVERY_MS = 200
FILE, CODE = Path(os.environ["ATELIER_TEST_IMAGE"]), Path(os.environ["ATELIER_TEST_CODE"])
PHOTO = os.environ["ATELIER_TEST_PHOTO"]


def watch() -> bool:
    """Look after both files; returns that it wants to be called again.

    An exception that leaves here would make it the last call, so the next one tries again instead.
    """
    try:
        run_code()
        write_image()
    except Exception:
        traceback.print_exc()
    return True


def run_code() -> None:
    """Run code that waits."""
    if CODE.exists():
        exec(CODE.read_text(), {})
        CODE.unlink()


def write_image() -> None:
    """Write the file anew, in one piece, if the photo is open."""
    for image in Gimp.get_images():
        file = image.get_file()
        if file and file.get_path() == PHOTO:
            draft = FILE.with_suffix(".part")
            draft.write_text(json.dumps(describe(image)))
            draft.replace(FILE)


def describe(image: Gimp.Image) -> dict[str, Any]:
    """Whether the image was changed since it was opened, what is selected, and the layers, top first."""
    _done, _selected, left, top, right, bottom = Gimp.Selection.bounds(image)
    return {
        "changed": image.is_dirty(),
        "selected box": [left, top, right - left, bottom - top],
        "selection": digest(image.get_selection(), (0, 0, image.get_width(), image.get_height())),
        "layers": [describe_layer(image, layer) for layer in image.get_layers()],
    }


def describe_layer(image: Gimp.Image, layer: Gimp.Layer) -> dict[str, Any]:
    """A layer's name, place, pixels, mask and settings, and the selection in its place."""
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


READ: dict[int, str] = {}


def read(drawable: Gimp.Drawable, box: Sequence[int], is_made: bool) -> str:
    """The digest of pixels; of what a filter made, as it was when it was first there.

    An undo may take that away between any two looks at it, and GIMP kills a plug-in that then reads from
    it. So nothing that is asked of it now may decide whether it is read again.
    """
    key = drawable.get_id()
    if key in READ:
        return READ[key]
    found = digest(drawable, box)
    if is_made:
        READ[key] = found
    return found


def digest(drawable: Gimp.Drawable, box: Sequence[int]) -> str:
    """The SHA-256 of a box of pixels as they are stored."""
    pixels = drawable.get_buffer().get(Gegl.Rectangle.new(*box), 1.0, None, Gegl.AbyssPolicy.NONE)
    return hashlib.sha256(pixels).hexdigest()


GLib.timeout_add(EVERY_MS, watch)
GLib.MainLoop().run()
