"""A call for an animation: how it is recognised, its clip, and its output files."""

from __future__ import annotations

import argparse
from fractions import Fraction
from gettext import gettext as _
from pathlib import Path

from atelier_shared.deepdream import FRAMES
from atelier_shared.deferred_translation import N_
from atelier_shared.errors import AtelierError

from .. import output_names
from ..clips import animated_pictures, video
from ..clips.clip import Clip, NumberedPictures, Selection, parsed
from ..output_names import FIELD, PlannedResult
from ..painting import PictureRun, styles_of
from .run import AnimationRun

USUAL_RATE = 25.0
NO_EFFECT = N_("{option} has no effect on an animation. Leave it out.")


def is_animation(options: argparse.Namespace) -> bool:
    """Return whether a call makes an animation rather than pictures of their own.

    True with --animation, for a video, and for several frames with one animation file as output.
    """
    if options.animation or any(video.is_video(path) for path in options.contents):
        return True
    if not (options.contents and _names_a_clip(options.output)):
        return False
    found = output_names.contents(options.contents)
    return len(found) > 1 or animated_pictures.is_animated(found[0])


def _names_a_clip(output: str) -> bool:
    """Return whether an output is one file of an animation."""
    suffix = Path(output).suffix.lower()
    return not FIELD.search(output) and suffix in (*animated_pictures.SUFFIXES, *video.SUFFIXES)


def run_of(pictures: PictureRun) -> tuple[AnimationRun, PlannedResult]:
    """Return the run of an animation, and what it makes.

    Raises:
        AtelierError: the options exclude each other, or there is no frame.
        PictureFileError: a frame cannot be read.
    """
    options = pictures.options
    _check(options)
    (styles,), is_one_file = styles_of(options), _names_a_clip(options.output)
    selection = Selection(parsed("--from", options.begin), parsed("--to", options.end), options.every)
    source = _source(options)
    if isinstance(source, NumberedPictures):
        source, selection = source.selected(selection), Selection()
        count = source.count
    else:
        count = sum(1 for _ in selection.of(source.frames()))
    if not count:
        raise AtelierError(_("{name} has no frame from --from to --to."), name=source.name)
    if is_one_file:
        outputs = [Path(options.output)]
        if outputs[0].suffix.lower() in video.SUFFIXES:
            video.check_writable(outputs[0])
    else:
        outputs = _numbered_outputs(source, count, styles, pictures)
    run = AnimationRun(source, selection, count, outputs, is_one_file, pictures)
    return run, PlannedResult(options.contents[0], styles, outputs[0])


def _check(options: argparse.Namespace) -> None:
    if getattr(options, FRAMES.name, 1) > 1:
        raise AtelierError(_("--frames makes a zoom of one picture. Leave it out for an animation."))
    if getattr(options, "each_style", False):
        raise AtelierError(_(NO_EFFECT), option="--each-style")
    if options.sheet:
        raise AtelierError(_(NO_EFFECT), option="--sheet")
    if options.output == "-":
        raise AtelierError(_("An animation cannot be written to standard output. Name a file with -o."))
    if options.every < 1:
        raise AtelierError(_("--every must be at least 1."))
    if options.fps is not None and not 0 < options.fps <= 1000:
        raise AtelierError(_("--fps must be above 0 and at most 1000."))


def _source(options: argparse.Namespace) -> Clip:
    """Open the clip: a video, an animated picture, or pictures.

    Raises:
        AtelierError: there are several clips, or an option has no effect on this one.
    """
    paths = output_names.contents(options.contents)
    clips = [path for path in paths if video.is_video(path) or animated_pictures.is_animated(path)]
    if not clips:
        rate = Fraction(options.fps or USUAL_RATE).limit_denominator(1001)
        return NumberedPictures.at_rate(paths, rate, options.max_megapixels)
    if len(paths) > 1:
        raise AtelierError(_("{name} is a clip. Name one clip alone, or only pictures."), name=clips[0])
    if options.fps:
        raise AtelierError(_("--fps has no effect on a clip, which has its own. Leave it out."))
    if video.is_video(paths[0]):
        return video.Video.open(paths[0], options.max_megapixels)
    return animated_pictures.AnimatedPicture.open(paths[0], options.max_megapixels)


def _numbered_outputs(source: Clip, count: int, styles: tuple[Path, ...], pictures: PictureRun) -> list[Path]:
    """Return the files of the frames, named like the pictures, or with the name and the frames' numbers."""
    if isinstance(source, NumberedPictures):
        names = [frame.path for frame in source.stored]
    else:
        names = [Path(f"{Path(source.name).stem}-{number:04}") for number in range(1, count + 1)]
    ending = pictures.format.suffixes[0] if pictures.format else None
    pieces = output_names.pieces(names, [styles], pictures.options.output, ending)
    output_names.make_folders(pictures.options.output, pieces)
    return [piece.output for piece in pieces]
