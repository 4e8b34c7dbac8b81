#!/usr/bin/env python3
"""GIMP's entry to Atelier: registers the filters, runs one, and adds what it makes as a layer.

What the filters are is said in `procedures`; pixels are the business of `drawables`, the dialog of
`dialog`, the backend of `backend_process`.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import gi

gi.require_versions({"Babl": "0.1", "Gegl": "0.4", "Gimp": "3.0", "GimpUi": "3.0", "Gtk": "3.0"})
from gi.repository import Gimp, GLib, GObject

import backend_process
import drawables as layers
import durations
from atelier_protocol import AtelierError, JobCancelled, Picture, Progress, Queued, Region, Result
from atelier_requests import FRAMES, DeepDream, Request, StyleTransfer, WrongSetting, settings
from backend_client import BackendClient
from drawables import Unsuitable
from frames import frames
from procedures import FILTERS, Filter, argument, declare_arguments
from translation import _, ngettext


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
        declare_arguments(procedure, chosen)
        procedure.add_layer_return_value(
            "result", _("Result"), _("The new layer"), True, GObject.ParamFlags.READWRITE
        )
        return procedure


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
        _ask(procedure, config, chosen, layer)
    if run_mode == Gimp.RunMode.NONINTERACTIVE and _pictures(config, chosen):
        _set_what_goes_with_a_picture(config, chosen)
    request = _request(config, chosen)
    given = _pictures(config, chosen) if request.needs_style else []
    with _progress(_(chosen.title)):
        added = _make(request, layer, given, chosen, _frame_count(config, chosen))
    Gimp.displays_flush()
    return added


def _pictures(config: Gimp.ProcedureConfig, chosen: Filter) -> list[Any]:
    """What is chosen beside the layer: files, layers, patterns."""
    return [given for source in chosen.sources if (given := config.get_property(source.name))]


def _request(config: Gimp.ProcedureConfig, chosen: Filter) -> StyleTransfer | DeepDream:
    """What is asked for.

    Raises:
        Unsuitable: a text that a person wrote has another form, or a picture that is needed is missing.
    """
    values = {setting.name: config.get_property(argument(setting)) for setting in settings(chosen.request)}
    # An empty text is None in GIMP.
    written: dict[str, Any] = {name: "" if value is None else value for name, value in values.items()}
    try:
        request = chosen.request(**written)
    except WrongSetting as error:
        raise Unsuitable(_(error.setting.label).replace("_", "") + error.problem) from error
    if request.needs_style and not _pictures(config, chosen):
        raise Unsuitable(_(chosen.without))
    return request


def _set_what_goes_with_a_picture(config: Gimp.ProcedureConfig, chosen: Filter) -> None:
    """As the dialog does when a picture is chosen; what a script has set otherwise stays."""
    defaults = {setting.name: setting.default for setting in chosen.settings}
    for name, value in chosen.given.items():
        if config.get_property(name) == defaults[name]:
            config.set_property(name, value)


def _frame_count(config: Gimp.ProcedureConfig, chosen: Filter) -> int:
    count: int = config.get_property(argument(FRAMES)) if FRAMES in chosen.extras else 1
    return count


def _ask(
    procedure: Gimp.Procedure, config: Gimp.ProcedureConfig, chosen: Filter, layer: Gimp.Layer
) -> None:
    """Show the dialog; raises JobCancelled where the person does not want the filter after all."""
    import dialog

    size = layers.size_to_send(layer)
    if not dialog.ask(procedure, config, chosen, lambda: _duration(config, chosen, size)):
        raise JobCancelled(_("The filter was cancelled."))


def _duration(config: Gimp.ProcedureConfig, chosen: Filter, size: tuple[int, int]) -> str:
    """About how long it will take, or what is wrong with the settings."""
    try:
        request = _request(config, chosen)
    except Unsuitable as error:
        return str(error)
    seconds = durations.estimate(request, *size, durations.read_speeds(backend_process.atelier_home()))
    whole = None if seconds is None else seconds * _frame_count(config, chosen)
    sentence, count = durations.in_words(whole)
    return _(sentence).format(count=count)


# ── The work ─────────────────────────────────────────────────────────────────────────────────────


def _make(
    request: StyleTransfer | DeepDream, layer: Gimp.Layer, given: Sequence[Any], chosen: Filter, count: int
) -> Gimp.Layer:
    """Have the backend make `count` frames, and add them all when they are done; the last one is returned.

    No layer is made before that: GIMP's Cancel kills this process, and layers in no image would stay.
    """
    pictures = [layers.read_picture(each, layer, request.picture_px) for each in given]
    cutout, title = layers.cut_out(layer), _(chosen.title)
    name, record = f"{title}: {_subject(request, given)}", _record(request, given)
    results: list[Result] = []
    Gimp.progress_set_text(_("Atelier is starting…"))
    with backend_process.connect(waiting=Gimp.progress_pulse) as backend:

        def compute(request: Request, content: Picture, region: Region) -> Result:
            job = backend.submit(request, content, region, pictures)
            return _wait(backend, job, title, len(results), count)

        results.extend(frames(compute, request, *layers.content_of(cutout), count))
    with _finished_layers() as made:
        for number, result in enumerate(results, start=1):
            numbered = name if count == 1 else _("{name}, frame {number}").format(name=name, number=number)
            made.append(layers.new_layer(cutout, result.picture, numbered, record))
        layers.insert(cutout, made)
    for note in dict.fromkeys(result.note for result in results if result.note):
        Gimp.message(_(note))
    return made[-1]


@contextmanager
def _finished_layers() -> Iterator[list[Gimp.Layer]]:
    """Room for layers to be inserted together; those that then are not in the image are deleted."""
    made: list[Gimp.Layer] = []
    try:
        yield made
    except BaseException:
        for layer in made:
            layer.delete()
        raise


def _wait(backend: BackendClient, job: int, title: str, frame: int, count: int) -> Result:
    """A job's result; how far it is, as frame `frame` of `count`, is shown meanwhile."""
    for message in backend.messages(job):
        if isinstance(message, Result):
            return message
        _show(message, title, frame, count)
    raise AssertionError("a job ends with a result or an error")


def _show(message: Queued | Progress, title: str, frame: int, count: int) -> None:
    if isinstance(message, Progress):
        text = _("{title}: step {step} of {total}")
        if count > 1:
            text = _("{title}: frame {frame} of {count}, step {step} of {total}")
        step, total = message.step, message.total
        Gimp.progress_set_text(
            text.format(title=title, step=step, total=total, frame=frame + 1, count=count)
        )
        Gimp.progress_update((frame + step / total) / count)
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


def _subject(request: StyleTransfer | DeepDream, given: Sequence[Any]) -> str:
    """What made the layer, for its name: a style, the guide, a class, or the network's layers."""
    if request.needs_style:
        return layers.name_of(given[0])
    if isinstance(request, StyleTransfer):
        return request.gallery_style
    return request.imagenet_class if request.objective == "class" else request.layers or request.network


def _record(request: Request, given: Sequence[Any]) -> str:
    """The settings as JSON, for the parasite of the layer that they made."""
    pictures = {"pictures": [layers.place_of(each) for each in given]} if given else {}
    return json.dumps({"filter": request.name, **asdict(request), **pictures})


Gimp.main(Atelier.__gtype__, sys.argv)
