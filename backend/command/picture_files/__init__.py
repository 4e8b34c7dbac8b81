"""Picture files of the command line, read and written without loss where the format allows it.

`reading` decodes a file, `canvas` blends a result into its pixels, `writing` encodes them again. The
formats are an allow-list in `formats`. In GIMP, GIMP does all of this.
"""

from .canvas import Canvas, Mask
from .errors import PictureFileError

__all__ = ["Canvas", "Mask", "PictureFileError"]
