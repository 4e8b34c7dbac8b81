"""Download of an SSH server for the tests, because few machines of developers have one.

    python3 tests/remote/get_sshd.py FOLDER

unpacks Debian's package for this machine's release into FOLDER. Nothing of it runs on its own, and the
machine is not changed. Needs only the standard library.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "gimp"))

from gimp_root import _private_apt, _run

PACKAGES = ("openssh-server", "libwrap0")
"""The server, and the library that other machines lack."""
STAMP = "made-by"


def main() -> None:
    """Make the folder unless this version of this file has made it."""
    folder = Path(sys.argv[1]).resolve()
    digest = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    stamp = folder / STAMP
    if stamp.exists() and stamp.read_text() == digest:
        return
    shutil.rmtree(folder, ignore_errors=True)
    downloads = folder / "apt"
    downloads.mkdir(parents=True)
    apt = _private_apt(_suite(), downloads)
    _run(*apt, "update")
    _run(*apt, "download", *PACKAGES, cwd=downloads)
    with ThreadPoolExecutor() as pool:
        list(
            pool.map(
                lambda package: _run("dpkg-deb", "-x", str(package), str(folder / "root")),
                downloads.glob("*.deb"),
            )
        )
    shutil.rmtree(downloads)
    stamp.write_text(digest)


def _suite() -> str:
    """Return the codename of this machine's Debian release."""
    lines = Path("/etc/os-release").read_text().splitlines()
    fields = dict(line.split("=", 1) for line in lines if "=" in line)
    return fields["VERSION_CODENAME"].strip('"')


if __name__ == "__main__":
    main()
