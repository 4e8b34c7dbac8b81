"""Running programs, and explaining their failures and those of the system."""

from __future__ import annotations

import errno
import os
import platform
import re
import subprocess
import threading
import urllib.parse
import urllib.request
from collections import deque
from collections.abc import Callable, Sequence
from typing import IO, TypeAlias

from .output import log_output
from .paths import WHEELS_FOLDER, Home, Plan

Reader: TypeAlias = Callable[[str], object]

PIP_DEFAULTS = {"PIP_RETRIES": "5", "PIP_TIMEOUT": "60", "PIP_RESUME_RETRIES": "20"}

DISK_FULL = "The disk is full. Free some space and run install.py again."
NETWORK_ERRORS = (
    r"NewConnectionError|NameResolutionError|Temporary failure in name resolution|Network is unreachable"
    r"|Max retries|timed out|ProxyError|Tunnel connection failed|ConnectionResetError|IncompleteRead"
    r"|incomplete-download"
)
NO_CAUSE = re.compile(r"\s|subprocess\.CalledProcessError: ")
"""Lines without a cause: indented ones, such as code in a traceback, and the last line of a Python program
that failed because a program that it started failed."""
EXPLANATIONS = {
    r"No space left on device|not enough space on the disk|Disk quota exceeded": DISK_FULL,
    r"DO NOT MATCH THE HASHES": (
        "A downloaded package was refused because it is not the file Atelier was tested with. Try again with "
        "another network, or fill the folder of --offline again."
    ),
    r"no RECORD file was found|uninstall-no-record-file": (
        "An installed package is damaged. Run install.py --repair."
    ),
    r"No matching distribution found for \S+": (
        f"A package is not available for Python {platform.python_version()} on this computer. Use a 64-bit "
        "Python 3.10 to 3.14 on Linux, Windows or a Mac with Apple silicon."
    ),
    r"Read-only file system|Permission denied|Access is denied": (
        "A folder is write-protected. Make it writable, or name another one in ATELIER_HOME."
    ),
}


class InstallError(Exception):
    """The installation cannot continue; the text explains the problem and its solution."""


def ignore(line: str) -> None:
    """Read a line of a program's output without using it."""


def pip(plan: Plan, *arguments: str, read: Reader = ignore) -> None:
    """Run the environment's pip; `read` takes the lines of its output."""
    command = [str(plan.home.python), "-I", "-m", "pip", "--disable-pip-version-check", *arguments]
    run(command, read, **pip_settings(plan))


def pip_settings(plan: Plan) -> dict[str, str]:
    """Return pip's settings: more retries than usual, or a folder in place of the network."""
    settings = {name: os.environ.get(name, value) for name, value in PIP_DEFAULTS.items()}
    if plan.offline is None:
        return settings
    return {**settings, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": (plan.offline / WHEELS_FOLDER).as_uri()}


def run(command: Sequence[str], read: Reader = ignore, **variables: str) -> None:
    """Run a program and log its output; raise InstallError with the reason if it fails.

    `read` takes the lines of its standard output.
    """
    errors: deque[str] = deque(maxlen=40)
    with subprocess.Popen(
        command,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    ) as process:
        thread = threading.Thread(target=log_lines, args=(process.stderr, errors.append))
        thread.start()
        log_lines(process.stdout, read)
        thread.join()
    if process.returncode:
        raise InstallError(explain_failure("".join(errors)))


def log_lines(stream: IO[str] | None, read: Reader) -> None:
    """Log the lines of a stream, and pass them on."""
    assert stream is not None
    for line in stream:
        log_output(line)
        read(line)


def explain_failure(output: str) -> str:
    """Explain a failure by the output of the program."""
    if re.search(NETWORK_ERRORS, output):
        return explain_network_failure()
    for pattern, explanation in EXPLANATIONS.items():
        if re.search(pattern, output):
            return explanation
    lines = [line for line in output.splitlines() if line.strip() and not NO_CAUSE.match(line)]
    return re.sub(
        r"^(atelier|ERROR): ", "", lines[-1] if lines else "A step failed without an error message."
    )


def explain_network_failure() -> str:
    """Explain a failed download; of a proxy's address only the host is shown, no password."""
    proxies = urllib.request.getproxies()
    proxy = urllib.parse.urlsplit(proxies.get("https") or proxies.get("http") or "").hostname
    suspect = f"the network connection and the proxy {proxy}" if proxy else "the network connection"
    return (
        f"The packages could not be downloaded. Check {suspect}, and run install.py again. "
        "Finished downloads are kept."
    )


def explain_os_error(error: OSError) -> str:
    """Explain an error of the operating system."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DISK_FULL
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return f"{error.filename} is write-protected. Make it writable, or name another in ATELIER_HOME."
    return f"{error.filename} cannot be used ({error.strerror}). Correct this and run install.py again."


def environment(home: Home) -> dict[str, str]:
    """Return the environment variables with `home` as Atelier's home."""
    return {**os.environ, "ATELIER_HOME": str(home.folder)}
