"""Programs that are run, and a sentence for each trouble that they or the system have."""

from __future__ import annotations

import errno
import os
import platform
import re
import subprocess
import sys
import urllib.parse
import urllib.request
from collections import deque
from collections.abc import Sequence

from .paths import Home, Plan

PATIENCE = {"PIP_RETRIES": "5", "PIP_TIMEOUT": "60", "PIP_RESUME_RETRIES": "20"}

DISK_FULL = "The disk is full: make room and run install.py again."
NO_NETWORK = (
    r"NewConnectionError|NameResolutionError|Temporary failure in name resolution|Network is unreachable"
    r"|Max retries|timed out|ProxyError|Tunnel connection failed|ConnectionResetError|IncompleteRead"
    r"|incomplete-download"
)
TROUBLES = {
    r"No space left on device|not enough space on the disk|Disk quota exceeded": DISK_FULL,
    r"DO NOT MATCH THE HASHES": (
        "A package is not the file that Atelier was tested with, so it was refused: try again from another "
        "network, or make the folder of --offline anew."
    ),
    r"No matching distribution found for \S+": (
        f"A package has no build for Python {platform.python_version()} on this computer: use a 64-bit "
        "Python 3.10 to 3.14 on Linux, Windows or a Mac with Apple silicon."
    ),
    r"Read-only file system|Permission denied|Access is denied": (
        "A folder may not be written to: make it writable, or name another one in ATELIER_HOME."
    ),
}


class InstallError(Exception):
    """Something is in the way; the text is one sentence that says what and what to do."""


def pip(plan: Plan, *arguments: str) -> None:
    """Run the environment's pip."""
    command = [str(plan.home.python), "-I", "-m", "pip", "--disable-pip-version-check", *arguments]
    run(command, **pip_settings(plan))


def pip_settings(plan: Plan) -> dict[str, str]:
    """What any pip that is run shall know: to be patient, or to take a folder for the network."""
    patience = {name: os.environ.get(name, value) for name, value in PATIENCE.items()}
    if plan.offline is None:
        return patience
    return {**patience, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": (plan.offline / "wheels").as_uri()}


def run(command: Sequence[str], **variables: str) -> None:
    """Run a program and show what it says; raise InstallError with the reason if it fails."""
    said: deque[str] = deque(maxlen=40)
    with subprocess.Popen(
        command,
        env={**os.environ, **variables},
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            print(line, end="", file=sys.stderr, flush=True)
            said.append(line)
    if process.returncode:
        raise InstallError(why_failed("".join(said)))


def why_failed(said: str) -> str:
    """A sentence for what a program printed when it failed."""
    if re.search(NO_NETWORK, said):
        return network_trouble()
    for trouble, sentence in TROUBLES.items():
        if re.search(trouble, said):
            return sentence
    last = said.strip().splitlines()[-1:] or ["A step failed and did not say why."]
    return re.sub(r"^(atelier|ERROR): ", "", last[0])


def network_trouble() -> str:
    """A sentence for packages that could not be fetched; of a proxy it says the name alone."""
    proxies = urllib.request.getproxies()
    proxy = urllib.parse.urlsplit(proxies.get("https") or proxies.get("http") or "").hostname
    what = f"the network connection and the proxy {proxy}" if proxy else "the network connection"
    again = "run install.py again; what was fetched need not be fetched again."
    return f"The packages could not be fetched: check {what}, and {again}"


def why_not_written(error: OSError) -> str:
    """A sentence for what the system refused."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DISK_FULL
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return f"{error.filename} may not be written to: make it writable, or name another in ATELIER_HOME."
    return f"{error.filename} could not be used ({error.strerror}): mend that and run install.py again."


def environment(home: Home) -> dict[str, str]:
    """This process' environment, in which Atelier's home is `home`."""
    return {**os.environ, "ATELIER_HOME": str(home.folder)}


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


def fail(sentence: str) -> int:
    """Print why this ended, and return the exit status that says so."""
    print(f"install.py: {sentence}", file=sys.stderr, flush=True)
    return 1
