"""ICC profiles made by the tests: of any primaries, with a power, a table or a parametric curve."""

from __future__ import annotations

import struct

import numpy as np

Primaries = tuple[tuple[float, float], ...]
"""The chromaticities (x, y) of red, green and blue."""

SRGB: Primaries = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
ADOBE_RGB: Primaries = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
DISPLAY_P3: Primaries = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
PROPHOTO: Primaries = ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001))
D65, D50 = (0.9505, 1.0, 1.0890), (0.9642, 1.0, 0.8249)
D65_TO_D50 = np.array([[1.0478, 0.0229, -0.0501], [0.0295, 0.9905, -0.0171], [-0.0092, 0.0150, 0.7521]])


def power_curve(gamma: float) -> bytes:
    return b"curv" + struct.pack(">IIH", 0, 1, round(gamma * 256)) + b"\0\0"


def table_curve(values: list[float]) -> bytes:
    entries = [round(65535 * value) for value in values]
    return b"curv" + struct.pack(f">II{len(entries)}H", 0, len(entries), *entries)


def parametric_curve(kind: int, *parameters: float) -> bytes:
    numbers = [round(65536 * value) for value in parameters]
    return b"para" + struct.pack(f">IHH{len(numbers)}i", 0, kind, 0, *numbers)


SRGB_CURVE = parametric_curve(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def profile(
    gamma: float = 2.2,
    primaries: Primaries = SRGB,
    kind: bytes = b"RGB ",
    *,
    curve: bytes = b"",
    white: tuple[float, float, float] = D65,
) -> bytes:
    """Return a profile of version 2 of these primaries and this power or curve, or of gray."""
    curve = curve or power_curve(gamma)
    if kind == b"GRAY":
        tags = {b"wtpt": _xyz(*D50), b"kTRC": curve}
    else:
        columns = _columns(primaries, white)
        tags = {b"wtpt": _xyz(*D50)}
        for index, letter in enumerate((b"r", b"g", b"b")):
            tags[letter + b"XYZ"] = _xyz(*columns[:, index])
            tags[letter + b"TRC"] = curve
    tags[b"desc"] = b"desc\0\0\0\0" + struct.pack(">I", 2) + b"x\0" + b"\0" * 80
    tags[b"cprt"] = b"text\0\0\0\0-\0\0\0"
    return _assembled(tags, kind)


def _columns(primaries: Primaries, white: tuple[float, float, float]) -> np.ndarray:
    """Return the colours of light of the primaries in XYZ with the white D50."""
    columns = np.array([(x / y, 1, (1 - x - y) / y) for x, y in primaries]).T
    adapted = np.eye(3) if white == D50 else D65_TO_D50
    made: np.ndarray = adapted @ (columns * np.linalg.solve(columns, white))
    return made


def _assembled(tags: dict[bytes, bytes], kind: bytes) -> bytes:
    offset, table, body = 128 + 4 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, content in tags.items():
        table += struct.pack(">4sII", name, offset + len(body), len(content))
        body += content + b"\0" * (-len(content) % 4)
    head = struct.pack(
        ">I4sI4s4s4s", 128 + len(table) + len(body), b"lcms", 0x02400000, b"mntr", kind, b"XYZ "
    )
    date = struct.pack(">6H", 2024, 1, 1, 0, 0, 0)
    head += date + b"acsp" + b"\0" * 28 + _xyz(*D50)[8:]
    return head.ljust(128, b"\0") + table + body


def _xyz(*values: float) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(value * 65536)) for value in values)
