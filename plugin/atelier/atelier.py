#!/usr/bin/env python3
"""The plug-in's entry point: registers the filters' procedures in GIMP and runs them."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import gi

gi.require_versions({"Babl": "0.1", "Gegl": "0.4", "Gimp": "3.0"})
gi.require_versions({"Gdk": "3.0", "GimpUi": "3.0", "Gtk": "3.0"})
from gi.repository import Gimp, Gio, GLib, GObject

from atelier_shared.errors import AtelierError, JobCancelled
from host.arguments import declare_arguments, given_pictures
from host.error_report import Failure
from host.event_loop_client import EventLoopClient
from host.filters import FILTERS, Filter
from host.frame_layers import Target
from host.picture_cache import PictureCache
from host.progress_reporter import ProgressReporter
from host.run import make_layers
from host.suitability import Unsuitable
from host.task import task_of
from host.translation import _, translated


class Atelier(Gimp.PlugIn):  # type: ignore[misc]  # gi has no types
    """The plug-in. GIMP calls its methods."""

    def do_set_i18n(self, _name: str) -> tuple[bool, str, str]:
        """Return the catalogue of translations: locale/LANGUAGE/LC_MESSAGES/atelier.mo."""
        return True, "atelier", "locale"

    def do_query_procedures(self) -> list[str]:
        """Return the names of the procedures, and tell GIMP where their help pages are."""
        self.set_help_domain("atelier", Gio.File.new_for_path(str(Path(__file__).parent / "help")))
        return list(FILTERS)

    def do_create_procedure(self, name: str) -> Gimp.Procedure:
        """Create the procedure of a filter."""
        chosen = FILTERS[name]
        procedure = Gimp.ImageProcedure.new(self, name, Gimp.PDBProcType.PLUGIN, run, None)
        procedure.set_image_types("RGB*, GRAY*")
        procedure.set_sensitivity_mask(_sensitivity(chosen))
        procedure.set_menu_label(_(chosen.menu_label))
        procedure.add_menu_path("<Image>/Filters/" + _("_Neural"))
        procedure.set_documentation(_(chosen.blurb), _(chosen.blurb), name)
        procedure.set_attribution("Atelier's authors", "Atelier's authors", "2026")
        declare_arguments(procedure, chosen)
        procedure.add_layer_return_value(
            "result", _("Result"), _("The new layer"), True, GObject.ParamFlags.READWRITE
        )
        return procedure


def _sensitivity(chosen: Filter) -> Gimp.ProcedureSensitivityMask:
    """Return the numbers of selected layers with an enabled menu entry: one, or also several."""
    mask = Gimp.ProcedureSensitivityMask
    return mask.DRAWABLE | mask.DRAWABLES if chosen.takes_frames else mask.DRAWABLE


# ── A run ────────────────────────────────────────────────────────────────────────────────────────


def run(
    procedure: Gimp.Procedure,
    run_mode: Gimp.RunMode,
    image: Gimp.Image,
    drawables: Sequence[Gimp.Drawable],
    config: Gimp.ProcedureConfig,
    _data: None,
) -> Gimp.ValueArray:
    """Run a filter and return its result or error to GIMP."""
    outcome = attempt(lambda: _run(procedure, run_mode, image, drawables, config))
    if isinstance(outcome, Failure):
        error = GLib.Error.new_literal(Gimp.PlugIn.error_quark(), outcome.sentence, 0)
        is_cancelled = outcome.status == Gimp.PDBStatusType.CANCEL
        return procedure.new_return_values(outcome.status, None if is_cancelled else error)
    values = procedure.new_return_values(Gimp.PDBStatusType.SUCCESS, None)
    values.remove(1)
    values.insert(1, GObject.Value(Gimp.Layer, outcome))
    return values


def attempt(work: Callable[[], Gimp.Layer]) -> Gimp.Layer | Failure:
    """Call `work`, and return a Failure if it raises: GIMP does not show a plug-in's exceptions."""
    status = Gimp.PDBStatusType
    try:
        return work()
    except JobCancelled as error:
        return Failure(status.CANCEL, str(error), "")
    except Unsuitable as error:
        return Failure(status.CALLING_ERROR, str(error), traceback.format_exc())
    except AtelierError as error:
        return Failure(status.EXECUTION_ERROR, translated(error), traceback.format_exc())
    except Exception as error:
        traceback.print_exc()
        sentence = _("Unexpected error in Atelier ({error}). See GIMP's error output for details.")
        return Failure(status.EXECUTION_ERROR, sentence.format(error=error), traceback.format_exc())


def _run(
    procedure: Gimp.Procedure,
    run_mode: Gimp.RunMode,
    image: Gimp.Image,
    drawables: Sequence[Gimp.Drawable],
    config: Gimp.ProcedureConfig,
) -> Gimp.Layer:
    chosen, target = FILTERS[procedure.get_name()], Target(image, drawables)
    target.check(chosen.takes_frames)
    if run_mode == Gimp.RunMode.INTERACTIVE:
        from ui.dialog import FilterDialog  # loads Gtk, which other calls do not need

        with FilterDialog(procedure, config, chosen, target) as dialog:
            return dialog.make_layer(attempt)
    if run_mode == Gimp.RunMode.NONINTERACTIVE and given_pictures(config, chosen):
        _apply_picture_settings(config, chosen)
    return _run_without_dialog(config, chosen, target)


def _apply_picture_settings(config: Gimp.ProcedureConfig, chosen: Filter) -> None:
    """Set the settings that the dialog sets when a picture is chosen, unless the script has set them."""
    defaults = {setting.name: setting.default for setting in chosen.settings}
    for name, value in chosen.set_by_picture.items():
        if config.get_property(name) == defaults[name]:
            config.set_property(name, value)


def _run_without_dialog(config: Gimp.ProcedureConfig, chosen: Filter, target: Target) -> Gimp.Layer:
    task, layer = task_of(config, chosen, target), target.layer
    with (
        ProgressReporter(task.title, task.frames) as status_bar,
        closing(EventLoopClient(lambda: None)) as client,
    ):
        return make_layers(task, layer, PictureCache(layer), client, status_bar)


if __name__ == "__main__":
    Gimp.main(Atelier.__gtype__, sys.argv)
