"""Fills babl's cache of conversions in the home folder; GIMP's Python runs this file.

babl measures which of its conversions between two formats is the fastest. A new user's GIMP takes half a
second of processor time for that at each start, because GIMP ends without writing the cache.

Source:
    babl, babl-cache.c: the cache is read by babl_init and written by babl_exit
"""

from __future__ import annotations

import ctypes
import itertools

FORMATS = (
    *("Y u8", "Y' u8", "Y float"),
    *("R'G'B' u8", "R'G'B'A u8", "RGB float", "RGBA float", "RGBA double", "RaGaBaA float"),
    *("R'G'B'A float", "R'G'B'A double", "cairo-RGB24", "cairo-ARGB32"),
)
"""Formats of GIMP's layers of 8 bits, its operations and its display."""


def main() -> None:
    """Find a conversion between every two formats, and write the cache."""
    babl = ctypes.CDLL("libbabl-0.1.so.0")
    babl.babl_format.restype = babl.babl_fish.restype = ctypes.c_void_p
    babl.babl_fish.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    babl.babl_init()
    formats = [babl.babl_format(name.encode()) for name in FORMATS]
    for source, destination in itertools.permutations(formats, 2):
        babl.babl_fish(source, destination)
    babl.babl_exit()


main()
