"""Colour spaces of ICC profiles that are made of primaries and tone curves, as most of pictures are.

Networks are trained on sRGB, so the backend converts other primaries to it. Profiles with tables of colours
(printers, scanners) are not described here.

Sources:
    ICC.1:2022, 7.2 (header), 7.3 (tags), 10.6 and 10.18 (curves), F.3 (matrix and curves)
    IEC 61966-2-1 (sRGB)
"""

from __future__ import annotations

import functools
import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

Curve: TypeAlias = Callable[[float], float]
"""From a coded value to light, both from 0 to 1."""
Matrix: TypeAlias = tuple[float, ...]
"""Nine numbers, row by row."""

FROM_XYZ: Matrix = (
    *(3.1338561, -1.6168667, -0.4906146),
    *(-0.9787684, 1.9161415, 0.0334540),
    *(0.0719453, -0.2289914, 1.4052427),
)
"""From XYZ with the white D50, in which profiles describe primaries, to sRGB's light."""
PRIMARIES_TOLERANCE, CURVE_TOLERANCE = 2e-3, 2e-3
SAMPLES = (0.05, 0.25, 0.5, 0.75)
MAX_ENTRIES = 2**16
MAX_TAGS = 100
MAX_FACTOR, MIN_DETERMINANT = 10.0, 1e-3


@dataclass(frozen=True)
class ColourSpace:
    """The coding of a profile.

    Attributes:
        to_srgb: from light in these primaries to light in sRGB's; empty for those of sRGB and for gray.
        curves: one for each of red, green and blue, or one for gray.
    """

    to_srgb: Matrix
    curves: tuple[Curve, ...]

    @property
    def gamma(self) -> float | None:
        """The exponent of the curves, as in a `Picture`: 0 for sRGB's curve, None if they are no powers."""
        if self._is_close_to(srgb_curve):
            return 0.0
        middle = self.curves[0](0.5)
        gamma = -math.log2(middle) if middle > 0 else 0.0
        return gamma if is_gamma(gamma) and self._is_close_to(lambda x: float(x**gamma)) else None

    def _is_close_to(self, wanted: Curve) -> bool:
        distances = (abs(curve(x) - wanted(x)) for curve in self.curves for x in SAMPLES)
        return max(distances) < CURVE_TOLERANCE


@functools.lru_cache(maxsize=8)
def colour_space(profile: bytes) -> ColourSpace | None:
    """Return the colour space of an ICC profile; None if it has tables of colours or is damaged."""
    try:
        tags = _tags(profile)
        if b"A2B0" in tags:
            return None
        if profile[16:20] == b"GRAY":
            return ColourSpace((), (_curve(tags[b"kTRC"]),))
        columns = [_xyz(tags[name]) for name in (b"rXYZ", b"gXYZ", b"bXYZ")]
        curves = tuple(_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC"))
        to_srgb = _unless_identity(_product(FROM_XYZ, columns))
        return ColourSpace(to_srgb, curves) if not to_srgb or is_invertible(to_srgb) else None
    except (struct.error, KeyError, ValueError):
        return None


def is_invertible(matrix: Matrix) -> bool:
    """Return whether a matrix has nine moderate numbers and an inverse, as those of real primaries."""
    if len(matrix) != 9 or not all(type(x) in (int, float) and abs(x) < MAX_FACTOR for x in matrix):
        return False
    a, b, c, d, e, f, g, h, i = matrix
    return abs(a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)) > MIN_DETERMINANT


def is_gamma(exponent: float) -> bool:
    """Return whether a curve can have this exponent; 0 stands for sRGB's curve."""
    return type(exponent) in (int, float) and (exponent == 0 or 1 / MAX_FACTOR <= exponent <= MAX_FACTOR)


def srgb_curve(value: float) -> float:
    """Decode a value in sRGB's coding to light."""
    return float(value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4)


# ── The parts of a profile ───────────────────────────────────────────────────────────────────────


def _tags(profile: bytes) -> dict[bytes, bytes]:
    (count,) = struct.unpack_from(">I", profile, 128)
    if count > MAX_TAGS:
        raise ValueError("too many tags")
    entries = (struct.unpack_from(">4sII", profile, 132 + 12 * number) for number in range(count))
    return {name: profile[offset : offset + size] for name, offset, size in entries}


def _xyz(tag: bytes) -> tuple[float, ...]:
    return tuple(value / 65536 for value in struct.unpack_from(">3i", tag, 8))


def _curve(tag: bytes) -> Curve:
    if tag[:4] == b"para":
        return _parametric(tag)
    (count,) = struct.unpack_from(">I", tag, 8)
    if tag[:4] != b"curv" or count > MAX_ENTRIES:
        raise ValueError("no curve")
    if count == 0:
        return lambda x: x
    entries = struct.unpack_from(f">{count}H", tag, 12)
    return _power(entries[0] / 256) if count == 1 else _table(entries)


def _power(exponent: float) -> Curve:
    _check_exponent(exponent)
    return lambda x: float(x**exponent)


def _check_exponent(exponent: float) -> None:
    if not 1 / MAX_FACTOR <= exponent <= MAX_FACTOR:
        raise ValueError("an unusual curve")


def _table(entries: tuple[int, ...]) -> Curve:
    def curve(x: float) -> float:
        place = x * (len(entries) - 1)
        first = min(int(place), len(entries) - 2)
        part = place - first
        return ((1 - part) * entries[first] + part * entries[first + 1]) / 65535

    return curve


def _parametric(tag: bytes) -> Curve:
    """Return a curve of type 0 to 4: (a x + b) ** g + e from d on, below it c x + f."""
    (kind,) = struct.unpack_from(">H", tag, 8)
    if kind > 4:
        raise ValueError("an unknown curve")
    count = (1, 3, 4, 5, 7)[kind]
    given = [value / 65536 for value in struct.unpack_from(f">{count}i", tag, 12)]
    _check_exponent(given[0])
    if max(map(abs, given)) > MAX_FACTOR:
        raise ValueError("an unusual curve")
    g, a, b = (*given, 1.0, 0.0)[:3] if kind == 0 else given[:3]
    c, d, e, f = 0.0, (-b / a if a else 0.0), 0.0, 0.0
    if kind == 2:
        e = f = given[3]
    elif kind >= 3:
        c, d = given[3:5]
        e, f = given[5:7] if kind == 4 else (0.0, 0.0)

    def curve(x: float) -> float:
        return float(max(a * x + b, 0.0) ** g + e if x >= d else c * x + f)

    return curve


def _product(matrix: Matrix, columns: list[tuple[float, ...]]) -> Matrix:
    """Multiply a matrix by another one, given by its columns."""
    return tuple(
        sum(matrix[3 * row + k] * column[k] for k in range(3)) for row in range(3) for column in columns
    )


def _unless_identity(matrix: Matrix) -> Matrix:
    """Return a matrix, or nothing if it changes no colour visibly."""
    identity = (1, 0, 0, 0, 1, 0, 0, 0, 1)
    changes = any(abs(a - b) > PRIMARIES_TOLERANCE for a, b in zip(matrix, identity, strict=True))
    return matrix if changes else ()
