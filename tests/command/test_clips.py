"""Clips: animated pictures and videos are read and written with their durations, colours and sound."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from made_clips import DURATIONS_MS, HEIGHT, WIDTH, audio_hash, frames, sound_video
from PIL import Image

from atelier_shared.errors import AtelierError
from backend.command.clips import animated_pictures, video
from backend.command.clips.clip import NumberedPictures, Selection, StoredFrame, parsed
from backend.command.picture_files import Canvas, PictureFileError

WHOLE = Fraction(0), Fraction(100)


def stored(folder: Path, images: list[Image.Image], suffix: str, durations: list[int]) -> list[StoredFrame]:
    folder.mkdir(exist_ok=True)
    found = []
    for number, (image, duration) in enumerate(zip(images, durations, strict=True)):
        path = folder / f"{number:03}{suffix}"
        options: dict[str, Any] = {"lossless": True, "exact": True} if suffix == ".webp" else {}
        image.save(path, **options)
        found.append(StoredFrame(path, Fraction(duration, 1000)))
    return found


def exported(path: Path, folder: Path) -> Iterator[StoredFrame]:
    """Yield the frames of a video as PNG files."""
    folder.mkdir(exist_ok=True)
    for number, frame in enumerate(video.Video.open(path, 250).frames()):
        file = folder / f"{number:04}.png"
        frame.canvas.save(file, frame.canvas.picture, frame.canvas.whole, None)
        yield StoredFrame(file, frame.seconds)


def copied(source: Path, target: Path, folder: Path, span: tuple[int, int] = (0, 100)) -> list[str]:
    clip = video.Video.open(source, 250)
    return video.write(
        target, exported(source, folder), clip, (Fraction(span[0]), Fraction(span[1])), clip.rate
    )


# ── Animated pictures ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("suffix", [".gif", ".webp", ".apng"])
@pytest.mark.parametrize("loops", [0, 1, 3])
def test_durations_loops_and_pixels_are_kept(tmp_path: Path, suffix: str, mode: str, loops: int) -> None:
    images, path = frames(4, mode), tmp_path / f"clip{suffix}"
    kind = animated_pictures.suffix_of_frames(path)
    animated_pictures.write(path, stored(tmp_path / "f", images, kind, DURATIONS_MS), 4, loops)

    clip = animated_pictures.AnimatedPicture.open(path)
    read = list(clip.frames())
    assert [frame.seconds * 1000 for frame in read] == DURATIONS_MS
    assert (clip.loops, clip.count, clip.mode) == (loops, 4, mode)
    for frame, image in zip(read, images, strict=True):
        values, expected = frame.canvas.file.pixels.values.astype(int), np.asarray(image).astype(int)
        visible = expected[..., 3] > 0 if mode == "RGBA" else np.ones((HEIGHT, WIDTH), bool)
        assert np.abs(values - expected)[visible].mean() < (3 if suffix == ".gif" else 0.01)
        if mode == "RGBA":
            assert (values[..., 3] == expected[..., 3]).all()


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".apng"])
def test_other_programs_read_the_animation(tmp_path: Path, suffix: str) -> None:
    """FFmpeg decodes as many frames; it has no reader of animated WebP."""
    path = tmp_path / f"clip{suffix}"
    kind = animated_pictures.suffix_of_frames(path)
    animated_pictures.write(path, stored(tmp_path / "f", frames(4), kind, DURATIONS_MS), 4, 0)
    with Image.open(path) as image:
        assert image.n_frames == 4  # type: ignore[attr-defined]
    if suffix != ".webp":
        with av.open(str(path)) as container:
            assert len(list(container.decode(video=0))) == 4


def test_rounding_of_durations_does_not_add_up(tmp_path: Path) -> None:
    images, path = frames(30), tmp_path / "clip.gif"
    given = [
        StoredFrame(frame.path, Fraction(1, 30)) for frame in stored(tmp_path / "f", images, ".png", [1] * 30)
    ]
    animated_pictures.write(path, given, 30, 0)
    read = [frame.seconds for frame in animated_pictures.AnimatedPicture.open(path).frames()]
    assert set(read) == {Fraction(3, 100), Fraction(4, 100)}
    assert abs(float(sum(read)) - 1) < 0.011


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".gif", ".webp", ".apng"])
def test_memory_does_not_grow_with_the_length(tmp_path: Path, suffix: str) -> None:
    """Beyond a WebP's own bytes, which Pillow reads as a whole, and a list of the frames' places."""
    path = tmp_path / f"clip{suffix}"
    (frame, *_) = stored(tmp_path / "f", frames(1), animated_pictures.suffix_of_frames(path), [100])

    def peaks(count: int) -> tuple[int, int]:
        tracemalloc.start()
        animated_pictures.write(path, (frame for _ in range(count)), count, 0)
        written = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        for _ in animated_pictures.AnimatedPicture.open(path).frames():
            pass
        read = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return written, read

    peaks(5)
    (few_written, few_read), (written, read) = peaks(10), peaks(400)
    garbage = 1_200_000  # Pillow's, until the next collection; the pixels of 390 frames are 3.6 MB
    assert written < few_written + garbage
    assert read < few_read + garbage + (2.2 * path.stat().st_size if suffix == ".webp" else 0)


def test_a_still_picture_is_not_animated(tmp_path: Path) -> None:
    frames(1)[0].save(tmp_path / "still.gif")
    assert not animated_pictures.is_animated(tmp_path / "still.gif")
    assert not animated_pictures.is_animated(tmp_path / "missing.gif")


# ── Videos ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("pixels", "properties"),
    [
        ("yuv420p", {}),
        ("yuv420p", {"colorspace": 1, "color_range": 1, "color_primaries": 1, "color_trc": 1}),
        ("yuv420p", {"colorspace": 6, "color_range": 2, "color_primaries": 6, "color_trc": 6}),
        ("yuv444p", {"colorspace": 1, "color_range": 1}),
    ],
)
def test_colours_survive_reading_and_writing(tmp_path: Path, pixels: str, properties: dict[str, Any]) -> None:
    """The colours on average, with another matrix or range they would be off by 3 to 20."""
    source = sound_video(tmp_path / "in.mp4", 0.2, pixels=pixels, silent=True, **properties)
    copied(source, tmp_path / "out.mp4", tmp_path / "f")
    before, after = (
        [frame.canvas.file.pixels.values.astype(float) for frame in video.Video.open(path, 250).frames()]
        for path in (source, tmp_path / "out.mp4")
    )
    assert len(before) == len(after) == 5
    assert np.abs(before[2].mean(axis=(0, 1)) - after[2].mean(axis=(0, 1))).max() < 1
    original = video.Video.open(source, 250).colours
    assert video.Video.open(tmp_path / "out.mp4", 250).colours in (
        original,
        video.Colours(*_ranged(original)),
    )


def _ranged(colours: video.Colours) -> tuple[int, int, int, int]:
    """A range that was not given is written as the usual one."""
    return colours.matrix, colours.primaries, colours.transfer, colours.range or 1


def test_decoded_colours_are_those_of_the_photograph(tmp_path: Path) -> None:
    source = sound_video(tmp_path / "in.mp4", 0.2, pixels="yuv444p", silent=True)
    first = next(video.Video.open(source, 250).frames()).canvas.file.pixels.values
    assert np.abs(first.astype(float) - np.asarray(frames(1)[0])).mean(axis=(0, 1)).max() < 2
    assert np.abs(first.mean(axis=(0, 1)) - np.asarray(frames(1)[0]).mean(axis=(0, 1))).max() < 0.7


def test_packets_of_sound_are_copied_unchanged(tmp_path: Path) -> None:
    source = sound_video(tmp_path / "in.mp4", 2)
    for name in ("out.mp4", "out.mov", "out.mkv"):
        assert copied(source, tmp_path / name, tmp_path / "f") == []
        assert audio_hash(tmp_path / name) == audio_hash(source)


def test_sound_that_the_container_cannot_hold_is_encoded_again(tmp_path: Path) -> None:
    source = sound_video(tmp_path / "in.mp4", 1)
    (note,) = copied(source, tmp_path / "out.webm", tmp_path / "f")
    assert "encoded again" in note
    with av.open(str(tmp_path / "out.webm")) as container:
        assert container.streams.audio[0].codec_context.name == "opus"
        seconds = sum(frame.samples for frame in container.decode(audio=0)) / 48000
    assert abs(seconds - 1) < 0.1


def test_the_sound_of_a_range_begins_with_it(tmp_path: Path) -> None:
    source = sound_video(tmp_path / "in.mp4", 3)
    copied(source, tmp_path / "out.mp4", tmp_path / "f", span=(1, 2))
    with av.open(str(tmp_path / "out.mp4")) as container:
        times = [
            float((packet.pts or 0) * packet.time_base) for packet in container.demux(audio=0) if packet.size
        ]
    assert 0 <= times[0] < 0.03
    assert 0.95 < times[-1] < 1


def test_a_rotated_video_is_read_upright(tmp_path: Path) -> None:
    source = sound_video(tmp_path / "in.mp4", 0.2, silent=True)
    data = bytearray(source.read_bytes())
    at = data.index(b"tkhd") + 44  # the matrix of the track's header (ISO 14496-12, 8.3.2)
    data[at : at + 36] = struct.pack(">9i", 0, -65536, 0, 65536, 0, 0, 0, 0, 1 << 30)
    source.write_bytes(data)
    frame = next(video.Video.open(source, 250).frames())
    assert (frame.canvas.whole.width, frame.canvas.whole.height) == (HEIGHT, WIDTH)
    expected = np.rot90(np.asarray(frames(1)[0]).astype(float))
    assert np.abs(frame.canvas.file.pixels.values - expected).mean() < 6
    copied(source, tmp_path / "out.mp4", tmp_path / "f")
    again = next(video.Video.open(tmp_path / "out.mp4", 250).frames())
    assert np.abs(again.canvas.file.pixels.values - expected).mean() < 8


def test_a_variable_frame_rate_is_kept(tmp_path: Path) -> None:
    durations = [100, 40, 250, 90]
    images = stored(tmp_path / "f", frames(4), ".png", durations)
    video.write(tmp_path / "out.mp4", images, None, WHOLE, Fraction(10))
    source = video.Video.open(tmp_path / "out.mp4", 250)
    assert [round(1000 * frame.seconds) for frame in source.frames()] == durations
    copied(tmp_path / "out.mp4", tmp_path / "again.mp4", tmp_path / "g")
    again = video.Video.open(tmp_path / "again.mp4", 250)
    assert [round(1000 * frame.seconds) for frame in again.frames()] == durations


def test_frames_that_are_only_counted_are_not_converted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = video.Video.open(sound_video(tmp_path / "in.mp4", 0.4), 250)
    converted, convert = [], video.Video._converted

    def counting(self: video.Video, frame: Any) -> Canvas:
        converted.append(frame)
        return convert(self, frame)

    monkeypatch.setattr(video.Video, "_converted", counting)
    assert sum(frame.seconds for frame in Selection(every=3).of(clip.frames())) == Fraction(2, 5)
    assert not converted
    shown = [frame.canvas.file.pixels.values for frame in Selection(every=3).of(clip.frames())]
    assert len(converted) == 4
    every = [frame.canvas.file.pixels.values for frame in clip.frames()]
    assert all(np.array_equal(one, other) for one, other in zip(shown, every[::3], strict=True))


def test_odd_sides_and_gray_and_transparent_pixels_become_a_video(tmp_path: Path) -> None:
    for number, image in enumerate(
        (Image.new("L", (33, 21), 100), Image.new("RGBA", (33, 21), (90, 90, 90, 128)))
    ):
        path, target = tmp_path / f"{number}.png", tmp_path / f"{number}.mp4"
        image.save(path)
        video.write(target, [StoredFrame(path, Fraction(1, 5))] * 3, None, WHOLE, Fraction(5))
        made = next(video.Video.open(target, 250).frames()).canvas.file.pixels.values
        assert made.shape == (20, 32, 3)
        assert abs(made.mean() - (100 if number == 0 else 45)) < 2


@pytest.mark.parametrize(
    "content", [b"no video", b"#EXTM3U\nhttp://127.0.0.1:9/x.ts\n", b"ffconcat version 1.0\n"]
)
def test_playlists_and_other_files_are_no_videos(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.mp4").write_bytes(content)
    with pytest.raises(PictureFileError, match="no video in a known format"):
        video.Video.open(tmp_path / "x.mp4", 250)


def test_a_truncated_video_and_a_missing_one_have_clear_errors(tmp_path: Path) -> None:
    source = sound_video(tmp_path / "in.mp4", 1)
    (tmp_path / "cut.mp4").write_bytes(source.read_bytes()[:2000])
    with pytest.raises(PictureFileError, match="cannot be read as a video"):
        video.Video.open(tmp_path / "cut.mp4", 250)
    with pytest.raises(PictureFileError, match="There is no file"):
        video.Video.open(tmp_path / "missing.mp4", 250)


def test_a_video_above_the_limit_is_refused(tmp_path: Path) -> None:
    source = sound_video(tmp_path / "in.mp4", 0.2, silent=True)
    with pytest.raises(PictureFileError, match="--max-megapixels"):
        video.Video.open(source, 0.001)


def test_sound_alone_is_no_clip(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "x.mp4"), "w") as output:
        sound = output.add_stream("aac", rate=44100, layout="mono")
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 44100), np.float32), format="fltp", layout="mono")
        silence.sample_rate = 44100
        output.mux([*sound.encode(silence), *sound.encode(None)])
    with pytest.raises(PictureFileError, match="has no pictures"):
        video.Video.open(tmp_path / "x.mp4", 250)


def test_formats_without_an_encoder_are_refused_before_the_work() -> None:
    video.check_writable(Path("out.mp4"))
    with pytest.raises(AtelierError, match=r"\.mp4, \.m4v, \.mov, \.mkv, \.webm"):
        video.check_writable(Path("out.avi"))


# ── Selections ───────────────────────────────────────────────────────────────────────────────────


def selected(first: str | None = None, last: str | None = None, every: int = 1) -> list[tuple[int, float]]:
    """Return the selected ones of ten frames of half a second: their numbers and durations."""
    clip = NumberedPictures.at_rate([Path(str(n)) for n in range(1, 11)], Fraction(2), 250)
    chosen = Selection(parsed("--from", first), parsed("--to", last), every)
    return [(int(frame.path.name), float(frame.seconds)) for frame in clip.selected(chosen).stored]


def test_frames_are_selected_by_number_and_by_time() -> None:
    assert [number for number, _ in selected("3", "6")] == [3, 4, 5, 6]
    assert [number for number, _ in selected("1s", "0:02.5")] == [3, 4, 5]
    assert [number for number, _ in selected("9")] == [9, 10]
    assert selected("11") == []


def test_of_every_third_frame_the_durations_add_up() -> None:
    assert selected(every=3) == [(1, 1.5), (4, 1.5), (7, 1.5), (10, 0.5)]
    assert selected("2", "7", every=4) == [(2, 2.0), (6, 1.0)]


@pytest.mark.parametrize("text", ["0", "-3", "2.5", "soon", "1:2:3:4", ""])
def test_other_texts_are_no_places(text: str) -> None:
    with pytest.raises(AtelierError, match="no place in a clip"):
        parsed("--from", text)


def test_a_time_with_hours_is_understood() -> None:
    place = parsed("--from", "1:02:03.5")
    assert place is not None and place.seconds == Fraction(7447, 2)


def test_the_times_of_a_selection_are_those_of_its_frames() -> None:
    clip = NumberedPictures.at_rate([Path(str(n)) for n in range(1, 11)], Fraction(2), 250)
    chosen = Selection(parsed("--from", "3"), parsed("--to", "6"))
    assert chosen.seconds(iter(clip.stored)) == (Fraction(1), Fraction(3))
    assert Selection().seconds(iter(clip.stored)) == (Fraction(0), Fraction(5))


def test_canvas_reads_the_frames_of_numbered_pictures(tmp_path: Path) -> None:
    for number, image in enumerate(frames(2)):
        image.save(tmp_path / f"{number}.png")
    clip = NumberedPictures.at_rate([tmp_path / "0.png", tmp_path / "1.png"], Fraction(25), 250)
    read = [frame.canvas for frame in clip.frames()]
    assert all(isinstance(canvas, Canvas) for canvas in read)
    assert (read[1].file.pixels.values == np.asarray(frames(2)[1])).all()
