"""Clips made for tests: frames of a moving photograph, and videos with a tone."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from moving_frames import moved, photograph
from PIL import Image

DURATIONS_MS = [100, 40, 250, 90]
WIDTH, HEIGHT = 64, 48


def frames(count: int, mode: str = "RGB") -> list[Image.Image]:
    """Return frames of a moving photograph; with alpha, a quarter of it is transparent."""
    whole = photograph(width=160)[:HEIGHT, :WIDTH]
    made = [Image.fromarray(np.rint(255 * moved(whole, n, 0)).astype(np.uint8)) for n in range(count)]
    for image in made:
        if mode == "RGBA":
            alpha = Image.new("L", image.size, 255)
            alpha.paste(0, (0, 0, WIDTH // 2, HEIGHT // 2))
            image.putalpha(alpha)
    return made


def sound_video(path: Path, seconds: float = 1.0, codec: str = "libx264", **properties: Any) -> Path:
    """Write a video of 25 frames a second with a tone."""
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream(codec, rate=25, options={"crf": "5"} if codec == "libx264" else {})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, properties.get("pixels", "yuv420p")
        for name in ("colorspace", "color_range", "color_primaries", "color_trc"):
            if name in properties:
                setattr(stream.codec_context, name, properties[name])
        sound: Any = None if properties.get("silent") else output.add_stream("aac", rate=44100, layout="mono")
        for n, image in enumerate(frames(round(25 * seconds))):
            frame = av.VideoFrame.from_ndarray(np.asarray(image), format="rgb24")
            frame.pts, frame.time_base = n * properties.get("stretch", 1), Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        if sound:
            tone = np.sin(np.arange(round(44100 * seconds)) / 20).astype(np.float32)[None] / 4
            heard = av.AudioFrame.from_ndarray(np.ascontiguousarray(tone), format="fltp", layout="mono")
            heard.sample_rate, heard.pts = 44100, 0
            output.mux([*sound.encode(heard), *sound.encode(None)])
    return path


def audio_hash(path: Path) -> tuple[str, int]:
    """Return a hash of the packets of sound, and their number."""
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(audio=0) if packet.size]
    return hashlib.sha256(b"".join(packets)).hexdigest(), len(packets)
