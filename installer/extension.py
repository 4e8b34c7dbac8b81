"""GIMP's extension: the plug-in and the installer in one .gex file, which GIMP unpacks when it is opened.

The file is a zip of one folder, named like the extension. The plug-in in it knows that install.py is two
folders above, and offers to install the backend when it is first used.

Sources:
    GIMP, app/file-data/file-data-gex.c (the zip) and app/core/gimpextension.c (metadata, plug-in-path)
    libarchive, archive_read_support_format_zip.c (the field 0x6c78)
    AppStream specification, section "Addon" of the metainfo files
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path

from atelier_shared.home import INSTALLER, NOTE_OF_THE_HOME, replacing

from .environment import BACKEND_SOURCES
from .output import report
from .paths import CHECKOUT
from .translations import CATALOGUE, SOURCES, mo_file, translations

IDENTIFIER = "org.atelier.Atelier"
PLUGIN = "plugin/atelier"
CONTENT = (
    *(*BACKEND_SOURCES, INSTALLER, "installer", "samples"),
    *("requirements.txt", "requirements-video.txt", "requirements-cluster.txt", "requirements.lock"),
)
LEFT_OUT = ("__pycache__", ".egg-info", ".mo", NOTE_OF_THE_HOME)
EXECUTABLE, PLAIN = 0o100755 << 16, 0o100644 << 16
LOCAL_MODE, UNIX = (0x6C78, 7, 0b101), 3 << 8
"""libarchive's own field for the mode of a file: GIMP reads a zip as a stream, without the directory at its
end, where the mode usually is. Without it the plug-in is not executable, and GIMP ignores it."""
DATE = (2026, 1, 1, 0, 0, 0)
"""Of every file in the zip, so that the same sources make the same extension."""
METADATA = """\
<?xml version="1.0" encoding="UTF-8"?>
<component type="addon">
  <id>{identifier}</id>
  <extends>org.gimp.GIMP</extends>
  <name>Atelier</name>
  <summary>Neural style transfer and DeepDream as filters</summary>
  <description>
    <p>Filters that paint a layer in the style of a picture, or show what a neural network sees in it.</p>
  </description>
  <metadata_license>MIT</metadata_license>
  <project_license>MIT</project_license>
  <releases>
    <release version="{version}" date="2026-01-01"/>
  </releases>
  <requires>
    <id version="3.0.0" compare="ge">org.gimp.GIMP</id>
  </requires>
  <custom>
    <value key="GIMP::plug-in-path">{plugin}/atelier.py</value>
  </custom>
</component>
"""


def make_extension(file: Path) -> None:
    """Write the extension."""
    with replacing(file) as draft, zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries():
            entry = zipfile.ZipInfo(f"{IDENTIFIER}/{name}", DATE)
            entry.external_attr = EXECUTABLE if name == f"{PLUGIN}/atelier.py" else PLAIN
            entry.extra = struct.pack("<2HBHI", *LOCAL_MODE, UNIX, entry.external_attr)
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
    report(f"The extension is {file}")


def entries() -> Iterator[tuple[str, bytes]]:
    """Yield the names and contents of the files; GIMP needs the metadata first."""
    metadata = METADATA.format(identifier=IDENTIFIER, version=version(), plugin=PLUGIN)
    yield f"{IDENTIFIER}.metainfo.xml", metadata.encode()
    for path in sorted(path for name in CONTENT for path in files(CHECKOUT / name)):
        yield path.relative_to(CHECKOUT).as_posix(), path.read_bytes()
    for source in sorted(SOURCES.glob("*.po")):
        catalogue = mo_file(dict(translations(source.read_text(encoding="utf-8"))))
        yield f"{PLUGIN}/locale/{source.stem}/{CATALOGUE}", catalogue
    yield f"{PLUGIN}/{NOTE_OF_THE_HOME}", b"\n../..\n"


def files(path: Path) -> Iterator[Path]:
    """Yield a file, or all files of a folder, without those that are made while programs run."""
    for file in (path, *path.rglob("*")):
        if file.is_file() and not any(part.endswith(LEFT_OUT) for part in file.relative_to(CHECKOUT).parts):
            yield file


def version() -> str:
    """Return the version in pyproject.toml."""
    lines = (CHECKOUT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    return next(line.split('"')[1] for line in lines if line.startswith("version = "))
