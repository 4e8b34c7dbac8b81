#!/usr/bin/env python3
"""GIMP's entry to Atelier: registers the filters, runs one, and adds what it makes as a layer.

Pixels are the business of `drawables`, the dialog of `dialog`, the backend of `backend_process`.
The arguments of the procedures are declared from `atelier_requests` and from nothing else.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import PurePath

import gi

gi.require_versions({"Babl": "0.1", "Gegl": "0.4", "Gimp": "3.0", "GimpUi": "3.0", "Gtk": "3.0"})
from gi.repository import Gimp, Gio, GLib, GObject

import backend_process
import drawables as layers
from atelier_protocol import AtelierError, JobCancelled, Picture, Progress, Queued, Result
from atelier_requests import N_, DeepDream, Number, Request, Setting, StyleTransfer, settings
from drawables import Cutout, Unsuitable
from translation import _, ngettext


@dataclass(frozen=True)
class Filter:
    """What GIMP and a person are told of a filter; `styled` says whether it takes a style picture."""

    request: type[Request]
    title: str
    menu_label: str
    blurb: str
    styled: bool = False


FILTERS = {
    "plug-in-atelier-style-transfer": Filter(
        StyleTransfer,
        N_("Style Transfer"),
        N_("_Style Transfer…"),
        N_("Paint the layer in the manner of another picture, as a new layer"),
        styled=True,
    ),
    "plug-in-atelier-deepdream": Filter(
        DeepDream,
        N_("DeepDream"),
        N_("_DeepDream…"),
        N_("Strengthen what a neural network sees in the layer, as a new layer"),
    ),
}


# ── The procedures ───────────────────────────────────────────────────────────────────────────────


class Atelier(Gimp.PlugIn):  # type: ignore[misc]  # gi has no types
    """The plug-in as GIMP asks for it."""

    def do_set_i18n(self, _name: str) -> tuple[bool, str, str]:
        """Where the translations of all texts are: locale/LANGUAGE/LC_MESSAGES/atelier.mo."""
        return True, "atelier", "locale"

    def do_query_procedures(self) -> list[str]:
        """The names of the procedures."""
        return list(FILTERS)

    def do_create_procedure(self, name: str) -> Gimp.Procedure:
        """Declare a procedure."""
        chosen = FILTERS[name]
        procedure = Gimp.ImageProcedure.new(self, name, Gimp.PDBProcType.PLUGIN, run, None)
        procedure.set_image_types("RGB*, GRAY*")
        procedure.set_sensitivity_mask(Gimp.ProcedureSensitivityMask.DRAWABLE)
        procedure.set_menu_label(_(chosen.menu_label))
        procedure.add_menu_path("<Image>/Filters/" + _("_Neural"))
        procedure.set_documentation(_(chosen.blurb), _(chosen.blurb), name)
        procedure.set_attribution("Atelier's authors", "Atelier's authors", "2026")
        _declare_arguments(procedure, chosen)
        procedure.add_layer_return_value(
            "result", _("Result"), _("The new layer"), True, GObject.ParamFlags.READWRITE
        )
        return procedure


def _declare_arguments(procedure: Gimp.Procedure, chosen: Filter) -> None:
    if chosen.styled:
        procedure.add_file_argument(
            "style",
            _("St_yle picture"),
            _("The picture whose manner is taken on"),
            Gimp.FileChooserAction.OPEN,
            True,
            None,
            GObject.ParamFlags.READWRITE,
        )
    for setting in settings(chosen.request):
        _declare(procedure, setting)


def _declare(procedure: Gimp.Procedure, setting: Setting) -> None:
    words = _argument(setting), _(setting.label), _(setting.help)
    if isinstance(setting, Number):
        whole = isinstance(setting.default, int)
        add = procedure.add_int_argument if whole else procedure.add_double_argument
        add(*words, setting.low, setting.high, setting.default, GObject.ParamFlags.READWRITE)
        return
    choice = Gimp.Choice.new()
    for number, (value, label) in enumerate(setting.options.items()):
        choice.add(value, number, _(label), "")
    procedure.add_choice_argument(*words, choice, setting.default, GObject.ParamFlags.READWRITE)


def _argument(setting: Setting) -> str:
    """A setting's name as GIMP wants it."""
    return setting.name.replace("_", "-")


# ── A run ────────────────────────────────────────────────────────────────────────────────────────


def run(
    procedure: Gimp.Procedure,
    run_mode: Gimp.RunMode,
    image: Gimp.Image,
    drawables: Sequence[Gimp.Drawable],
    config: Gimp.ProcedureConfig,
    _data: None,
) -> Gimp.ValueArray:
    """Run a filter and tell GIMP how it went: GIMP shows nothing of an exception that leaves here."""
    status = Gimp.PDBStatusType
    try:
        layer = _run(procedure, run_mode, image, drawables, config)
    except JobCancelled:
        return procedure.new_return_values(status.CANCEL, None)
    except Unsuitable as error:
        return _failure(procedure, status.CALLING_ERROR, str(error))
    except AtelierError as error:
        return _failure(procedure, status.EXECUTION_ERROR, _translated(error))
    except Exception as error:
        traceback.print_exc()
        sentence = _("Atelier met with something unforeseen ({error}): GIMP's error output has the details.")
        return _failure(procedure, status.EXECUTION_ERROR, sentence.format(error=error))
    values = procedure.new_return_values(status.SUCCESS, None)
    values.remove(1)
    values.insert(1, GObject.Value(Gimp.Layer, layer))
    return values


def _translated(error: AtelierError) -> str:
    template = _(error.template)
    return template.format(**error.values) if error.values else template


def _failure(procedure: Gimp.Procedure, status: Gimp.PDBStatusType, sentence: str) -> Gimp.ValueArray:
    return procedure.new_return_values(status, GLib.Error.new_literal(Gimp.PlugIn.error_quark(), sentence, 0))


def _run(
    procedure: Gimp.Procedure,
    run_mode: Gimp.RunMode,
    image: Gimp.Image,
    drawables: Sequence[Gimp.Drawable],
    config: Gimp.ProcedureConfig,
) -> Gimp.Layer:
    chosen = FILTERS[procedure.get_name()]
    layer = layers.the_layer(image, drawables)
    if run_mode == Gimp.RunMode.INTERACTIVE:
        _ask(procedure, config, chosen)
    request = chosen.request(**{s.name: config.get_property(_argument(s)) for s in settings(chosen.request)})
    style = config.get_property("style") if chosen.styled else None
    styles = [layers.read_style(style, layer, config.get_property("size"))] if chosen.styled else []
    cutout = layers.cut_out(layer)
    with _progress(_(chosen.title)):
        result = _compute(request, cutout, styles, _(chosen.title))
        name, record = _layer_name(chosen, request, style), _record(request, style)
        added = layers.add_layer(cutout, result.picture, name, record)
    Gimp.displays_flush()
    if result.note:
        Gimp.message(_(result.note))
    return added


def _ask(procedure: Gimp.Procedure, config: Gimp.ProcedureConfig, chosen: Filter) -> None:
    """Show the dialog; raises JobCancelled where the person does not want the filter after all."""
    import dialog

    names = ["style"] if chosen.styled else []
    names += [_argument(setting) for setting in settings(chosen.request)]
    if not dialog.ask(procedure, config, _(chosen.title), names):
        raise JobCancelled(_("The filter was cancelled."))


def _compute(request: Request, cutout: Cutout, styles: list[Picture], title: str) -> Result:
    """Have the backend do the work, and show how far it is."""
    Gimp.progress_set_text(_("Atelier is starting…"))
    with backend_process.connect(waiting=Gimp.progress_pulse) as backend:
        job = backend.submit(request, *layers.content_of(cutout), styles)
        for message in backend.messages(job):
            if isinstance(message, Result):
                return message
            _show(message, title)
    raise AssertionError("a job ends with a result or an error")


def _show(message: Queued | Progress, title: str) -> None:
    if isinstance(message, Progress):
        text = _("{title}: step {step} of {total}")
        Gimp.progress_set_text(text.format(title=title, step=message.step, total=message.total))
        Gimp.progress_update(message.step / message.total)
    elif message.place:
        text = ngettext(
            "Waiting: {count} job before this one", "Waiting: {count} jobs before this one", message.place
        )
        Gimp.progress_set_text(text.format(count=message.place))


@contextmanager
def _progress(title: str) -> Iterator[None]:
    Gimp.progress_init(title)
    try:
        yield
    finally:
        Gimp.progress_end()


def _layer_name(chosen: Filter, request: Request, style: Gio.File | None) -> str:
    """What made the layer: the filter, and its style picture or the network's layer it dreamt of."""
    what = PurePath(style.get_basename()).stem if style else getattr(request, "layer", "")
    return f"{_(chosen.title)}: {what}"


def _record(request: Request, style: Gio.File | None) -> str:
    """The settings as JSON, for the parasite of the layer that they made."""
    record = {"filter": request.name, **asdict(request)}
    return json.dumps(record | {"style": style.get_uri()} if style else record)


Gimp.main(Atelier.__gtype__, sys.argv)
