"""Videos, read and written by PyAV (FFmpeg): frame rate, colours, rotation and sound are kept.

Sources:
    ITU-T H.273, table 4 (matrix coefficients) and 8.3 (video range)
    FFmpeg's documentation of stream copy: packets of sound are passed on unchanged
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from gettext import gettext as _
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atelier_shared.errors import AtelierError
from atelier_shared.home import install_command
from atelier_shared.messages import MAX_SIDE_PX

from ..picture_files import Canvas, PictureFileError
from ..picture_files.formats import BY_SUFFIX
from ..picture_files.pixels import Pixels, in_depth, split_alpha
from .clip import Frame, StoredFrame

CONTAINERS: Mapping[bytes, str] = {
    b"\x1a\x45\xdf\xa3": "matroska",
    b"RIFF": "avi",
    b"OggS": "ogg",
    b"\x00\x00\x01\xba": "mpeg",
    b"\x30\x26\xb2\x75": "asf",
    b"FLV": "flv",
    b"\x47": "mpegts",
}
"""FFmpeg's demuxer by the first bytes of a file. No other demuxer is used: some open other files."""
ENCODERS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    ".mp4": ("libx264", {"crf": "17", "preset": "medium"}),
    ".m4v": ("libx264", {"crf": "17", "preset": "medium"}),
    ".mov": ("libx264", {"crf": "17", "preset": "medium"}),
    ".mkv": ("libx264", {"crf": "17", "preset": "medium"}),
    ".webm": ("libvpx-vp9", {"crf": "24", "b": "0", "row-mt": "1", "cpu-used": "3"}),
}
"""The encoder and its options by the ending of the file."""
SUFFIXES = (*ENCODERS, ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".wmv", ".flv", ".ogv", ".3gp")
SOUND_ENCODERS = {".webm": "libopus"}
USUAL_SOUND = "aac"
UNSPECIFIED, BT601 = 2, 5
VIDEO_RANGE, FULL_RANGE = 1, 2
MATRICES = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9}
"""libswscale's matrices by those of H.273; others count as BT.601, as in FFmpeg."""
TIME_UNITS = 90000
"""Time units per second of a video made from pictures, as in MPEG."""


def is_video(path: Path) -> bool:
    """Return whether a name is one of a video."""
    return path.suffix.lower() in SUFFIXES


def _pyav() -> Any:
    """Import PyAV.

    Raises:
        AtelierError: it is not installed.
    """
    try:
        import av
    except ImportError as error:
        template = _("Videos need the package av. Run '{install}'.")
        raise AtelierError(template, install=install_command("--video")) from error
    return av


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a video; FFmpeg must open no other file, and no address.

    Raises:
        PictureFileError: there is no such file, or it is damaged, or no video.
    """
    av = _pyav()
    with _reading(path):
        with path.open("rb") as file:
            head = file.read(12)
        kind = "mp4" if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free") else ""
        kind = kind or next((name for start, name in CONTAINERS.items() if head.startswith(start)), "")
        if not kind:
            raise PictureFileError(_("{file} is no video in a known format."), file=path)
        with av.open(str(path), format=kind, options={"protocol_whitelist": "file"}) as container:
            if not container.streams.video:
                raise PictureFileError(_("{file} has no pictures."), file=path)
            yield container


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn the errors of reading a video into a PictureFileError."""
    av = _pyav()
    try:
        yield
    except FileNotFoundError as error:
        raise PictureFileError(_("There is no file {file}. Check its name."), file=path) from error
    except av.error.FFmpegError as error:
        template = _("{file} cannot be read as a video: {reason}.")
        raise PictureFileError(template, file=path, reason=error.strerror) from error
    except OSError as error:
        template = _("{file} cannot be read: {reason}.")
        raise PictureFileError(template, file=path, reason=error.strerror) from error


@dataclass(frozen=True)
class Colours:
    """The colours of a video: H.273's numbers of matrix, primaries and transfer curve, and the range."""

    matrix: int = UNSPECIFIED
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    range: int = 0

    @property
    def swscale_matrix(self) -> int:
        """The number of the matrix in libswscale."""
        return MATRICES.get(self.matrix, BT601)


@dataclass(frozen=True)
class Video:
    """A video file as a clip."""

    path: Path
    time_base: Fraction
    rate: Fraction
    colours: Colours
    pixel_shape: Fraction
    max_megapixels: float
    loops: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name of the file."""
        return self.path.name

    @classmethod
    def open(cls, path: Path, max_megapixels: float) -> Video:
        """Read the properties of a video.

        Raises:
            PictureFileError: it cannot be read, or is too large.
            AtelierError: PyAV is not installed.
        """
        with _opened(path) as container:
            stream = container.streams.video[0]
            _check_size(path, stream.width, stream.height, max_megapixels)
            rate = stream.average_rate or stream.guessed_rate or Fraction(25)
            for frame in container.decode(stream):
                colours = Colours(frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range)
                deep = frame.format.components[0].bits > 8
                break
            else:
                raise PictureFileError(_("{file} has no pictures."), file=path)
            notes = (_("The 10 or more bits of its colours are reduced to 8."),) if deep else ()
            shape = stream.sample_aspect_ratio or Fraction(1)
            return cls(path, stream.time_base, rate, colours, shape, max_megapixels, notes=notes)

    def frames(self) -> Iterator[Frame]:
        """Yield the frames upright, each lasting until the next one."""
        held: tuple[Any, Fraction] | None = None
        with _opened(self.path) as container:
            for frame in container.decode(container.streams.video[0]):
                at = frame.pts * frame.time_base if frame.pts is not None else None
                if held:
                    before, start = held
                    at = start + 1 / self.rate if at is None or at <= start else at
                    yield Frame(functools.partial(self._canvas, before), at - start)
                held = frame, Fraction(0) if at is None else at
            if held:
                last = held[0]
                duration = last.duration * last.time_base if last.duration else 1 / self.rate
                yield Frame(functools.partial(self._canvas, last), Fraction(duration))

    def _canvas(self, frame: Any) -> Canvas:
        _check_size(self.path, frame.width, frame.height, self.max_megapixels)
        with _reading(self.path):
            return self._converted(frame)

    def _converted(self, frame: Any) -> Canvas:
        turns = round(frame.rotation / 90)
        range = self.colours.range or VIDEO_RANGE
        matrices = {
            "src_colorspace": self.colours.swscale_matrix,
            "dst_colorspace": self.colours.swscale_matrix,
        }
        if not frame.format.is_rgb:  # libswscale's direct way from 4:2:0 darkens by 1/255
            frame = frame.reformat(format="yuv444p", src_color_range=range, dst_color_range=range, **matrices)
        values = frame.to_ndarray(
            format="rgb24", src_color_range=range, dst_color_range=FULL_RANGE, **matrices
        )
        turned = np.ascontiguousarray(np.rot90(values, turns))
        canvas = Canvas.of(turned)
        compression = replace(canvas.file.compression, lossless=False, format=BY_SUFFIX[".png"])
        return Canvas(replace(canvas.file, compression=compression))


def _check_size(path: Path, width: int, height: int, max_megapixels: float) -> None:
    if max(width, height) > MAX_SIDE_PX or width * height > max_megapixels * 1e6:
        template = _(
            "{file} has {count} megapixels, above the limit of {limit}. "
            "If you trust the file, raise the limit with --max-megapixels."
        )
        megapixels, limit = f"{width * height / 1e6:.0f}", f"{max_megapixels:g}"
        raise PictureFileError(template, file=path, count=megapixels, limit=limit)


def check_writable(path: Path) -> None:
    """Refuse to write a video in a format without an encoder, before the work begins.

    Raises:
        AtelierError: there is none, or PyAV is not installed.
    """
    _pyav()
    if path.suffix.lower() not in ENCODERS:
        raise AtelierError(
            _("{file} cannot be written. Choose a name that ends in one of {endings}."),
            file=path,
            endings=", ".join(ENCODERS),
        )


# ── Writing ──────────────────────────────────────────────────────────────────────────────────────


def write(
    path: Path,
    frames: Iterable[StoredFrame],
    source: Video | None,
    sound: tuple[Fraction, Fraction],
    rate: Fraction,
) -> list[str]:
    """Write a video in the format of the path's ending, and return notes.

    Args:
        path: the file to write.
        frames: picture files of one size.
        source: the video with the colours, the metadata and the sound; None for pictures.
        sound: the times in `source` from where to where its sound is copied.
        rate: frames per second, for the encoder; each frame's own duration is kept.

    Raises:
        AtelierError: PyAV is not installed.
        OSError, ValueError: the file cannot be written.
    """
    av = _pyav()
    with contextlib.ExitStack() as stack:
        try:
            output = stack.enter_context(av.open(str(path), "w"))
            packets, notes = _sound(stack, output, path, source, sound)
            _write_pictures(av, output, path, iter(frames), source, rate, packets)
        except av.error.FFmpegError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error
    return notes


def _write_pictures(
    av: Any,
    output: Any,
    path: Path,
    frames: Iterator[StoredFrame],
    source: Video | None,
    rate: Fraction,
    packets: Iterator[tuple[Fraction, Any]],
) -> None:
    """Encode the frames; packets of sound are written among them, in the order of time."""
    codec, options = ENCODERS[path.suffix.lower()]
    time_base = source.time_base if source else Fraction(1, TIME_UNITS)
    colours = source.colours if source else Colours(matrix=6, primaries=6, transfer=6, range=VIDEO_RANGE)
    stream: Any = None
    start, pending = Fraction(0), next(packets, None)
    durations = dict[int, int]()
    for picture, seconds in frames:
        values = _even(Canvas.load(picture).file.pixels)
        if stream is None:
            stream = _stream(output, codec, options, values, rate, time_base, colours, source)
        frame = av.VideoFrame.from_ndarray(values, format="rgb24").reformat(
            format=stream.codec_context.pix_fmt,
            dst_colorspace=colours.swscale_matrix,
            src_colorspace=colours.swscale_matrix,
            src_color_range=FULL_RANGE,
            dst_color_range=colours.range or VIDEO_RANGE,
        )
        frame.pts, frame.time_base = round(start / time_base), time_base
        durations[frame.pts] = max(1, round(seconds / time_base))
        start += seconds
        _mux(output, stream.encode(frame), durations)
        while pending and pending[0] <= start:
            output.mux(pending[1])
            pending = next(packets, None)
    if stream is not None:
        _mux(output, stream.encode(None), durations)
    while pending:
        output.mux(pending[1])
        pending = next(packets, None)


def _mux(output: Any, packets: Iterable[Any], durations: dict[int, int]) -> None:
    """Write packets of pictures with their durations by time stamp, which the encoder does not pass on."""
    for packet in packets:
        packet.duration = durations.pop(packet.pts)
        output.mux(packet)


def _even(pixels: Pixels) -> NDArray[np.uint8]:
    """Return (H, W, 3) of 8 bits, without the last row and column of odd sides; transparent is black."""
    colours, alpha = split_alpha(in_depth(pixels, "u8"))
    height, width = (side - side % 2 for side in colours.shape[:2])
    shown = colours * (alpha / 255) if alpha.size else colours
    wide = np.broadcast_to(np.rint(shown[:height, :width]), (height, width, 3))
    return np.ascontiguousarray(wide.astype(np.uint8))


def _stream(
    output: Any,
    codec: str,
    options: Mapping[str, str],
    values: Any,
    rate: Fraction,
    time_base: Fraction,
    colours: Colours,
    source: Video | None,
) -> Any:
    stream = output.add_stream(codec, rate=rate, options=dict(options))
    context = stream.codec_context
    context.height, context.width = values.shape[:2]
    context.pix_fmt, context.time_base = "yuv420p", time_base
    context.colorspace, context.color_range = colours.matrix, colours.range or VIDEO_RANGE
    context.color_primaries, context.color_trc = colours.primaries, colours.transfer
    if source:
        context.sample_aspect_ratio = source.pixel_shape
    return stream


def _sound(
    stack: contextlib.ExitStack,
    output: Any,
    path: Path,
    source: Video | None,
    span: tuple[Fraction, Fraction],
) -> tuple[Iterator[tuple[Fraction, Any]], list[str]]:
    """Return the packets of sound with their times, and notes.

    Packets are copied unchanged if the container can hold them, otherwise the sound is encoded again.
    """
    if not source:
        return iter(()), []
    container = stack.enter_context(_opened(source.path))
    output.metadata.update(container.metadata)
    if not container.streams.audio:
        return iter(()), []
    stream = container.streams.audio[0]
    codec = stream.codec_context.name
    if codec in _held_codecs(output):
        return _copied(container, stream, output.add_stream_from_template(stream), span), []
    encoder = SOUND_ENCODERS.get(path.suffix.lower(), USUAL_SOUND)
    note = _("The sound is encoded again: {ending} files hold no {codec} sound.")
    new = output.add_stream(encoder, rate=48000, layout=stream.layout.name)
    return _encoded_again(container, stream, new, span), [note.format(ending=path.suffix, codec=codec)]


def _held_codecs(output: Any) -> set[str]:
    held = set(output.supported_codecs)
    return held | {"aac", "mp3", "opus", "vorbis", "flac", "pcm_s16le"} if "matroska" in output.name else held


def _copied(
    container: Any, stream: Any, new: Any, span: tuple[Fraction, Fraction]
) -> Iterator[tuple[Fraction, Any]]:
    shift = round(span[0] / stream.time_base)
    for packet in container.demux(stream):
        if packet.dts is None or packet.pts is None:
            continue
        at = packet.pts * packet.time_base
        if _is_within(at, span):
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            packet.stream = new
            yield at - span[0], packet


def _is_within(at: Fraction, span: tuple[Fraction, Fraction]) -> bool:
    """Return whether a time is in a span. A span from 0 includes negative times: the encoder's delay."""
    return at < span[1] and (at >= span[0] or span[0] == 0)


def _encoded_again(
    container: Any, stream: Any, new: Any, span: tuple[Fraction, Fraction]
) -> Iterator[tuple[Fraction, Any]]:
    for frame in container.decode(stream):
        at = frame.pts * frame.time_base
        if _is_within(at, span):
            frame.pts -= round(span[0] / frame.time_base)
            for packet in new.encode(frame):
                yield at - span[0], packet
    for packet in new.encode(None):
        yield span[1] - span[0], packet
