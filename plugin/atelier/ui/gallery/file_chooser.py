"""The dialog to open a picture file, with a small picture of the selected file."""

from __future__ import annotations

from gi.repository import GdkPixbuf, Gio, GLib, Gtk

from host.translation import _

from .recent import read_history

PREVIEW_PX = 200
MORE_PATTERNS = (
    "*.xcf*",
    "*.ora",
    "*.psd",
    "*.tif",
    "*.tiff",
    "*.webp",
    "*.heic",
    "*.avif",
    "*.jxl",
    "*.exr",
)
"""Pictures for GIMP, some of them unknown to GdkPixbuf."""


def choose_picture(parent: Gtk.Window) -> Gio.File | None:
    """Let the user choose a picture file; return None if the user cancels."""
    chooser = Gtk.FileChooserDialog(
        title=_("Open a Picture"), transient_for=parent, modal=True, action=Gtk.FileChooserAction.OPEN
    )
    chooser.add_buttons(_("_Cancel"), Gtk.ResponseType.CANCEL, _("_Open"), Gtk.ResponseType.OK)
    chooser.set_default_response(Gtk.ResponseType.OK)
    for each in (_pictures(), _all_files()):
        chooser.add_filter(each)
    image = Gtk.Image(width_request=PREVIEW_PX, visible=True)
    chooser.set_preview_widget(image)
    chooser.connect("update-preview", _update_preview, image)
    chooser.set_current_folder_file(_first_folder())
    is_accepted, file = chooser.run() == Gtk.ResponseType.OK, chooser.get_file()
    chooser.destroy()
    return file if is_accepted else None


def _first_folder() -> Gio.File:
    """Return the newest folder of a recent picture that exists; otherwise the user's folder of pictures."""
    folders = (Gio.File.new_for_uri(uri).get_parent() for uri in read_history().recent)
    local = (folder for folder in folders if folder and folder.get_path() and folder.query_exists())
    pictures = GLib.get_user_special_dir(GLib.UserDirectory.DIRECTORY_PICTURES) or GLib.get_home_dir()
    return next(local, None) or Gio.File.new_for_path(pictures)


def _pictures() -> Gtk.FileFilter:
    pictures = Gtk.FileFilter()
    pictures.set_name(_("Pictures"))
    pictures.add_pixbuf_formats()
    for pattern in MORE_PATTERNS:
        pictures.add_pattern(pattern)
        pictures.add_pattern(pattern.upper())
    return pictures


def _all_files() -> Gtk.FileFilter:
    all_files = Gtk.FileFilter()
    all_files.set_name(_("All files"))
    all_files.add_pattern("*")
    return all_files


def _update_preview(chooser: Gtk.FileChooser, image: Gtk.Image) -> None:
    """Show the selected file, if GdkPixbuf can read it."""
    pixbuf = _small_picture(chooser.get_preview_filename())
    image.set_from_pixbuf(pixbuf)
    chooser.set_preview_widget_active(pixbuf is not None)


def _small_picture(path: str | None) -> GdkPixbuf.Pixbuf | None:
    try:
        pixbuf = GdkPixbuf.Pixbuf.new_from_file_at_scale(path or "", PREVIEW_PX, PREVIEW_PX, True)
    except GLib.Error:
        return None
    return pixbuf.apply_embedded_orientation()
