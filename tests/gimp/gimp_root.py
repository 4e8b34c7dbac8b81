"""Download of a real GIMP 3 for the tests, independent of any GIMP on this machine.

    python3 tests/gimp/gimp_root.py VERSION FOLDER       VERSION, 3.0 or 3.2, is the oldest acceptable one

makes FOLDER with the programs of a Debian release that contains this GIMP (`root/`) and two commands:

    enter COMMAND …     runs a command on this machine with GIMP's programs instead of its own
    gimp-console …      GIMP without windows, as it could be on a user's PATH

The packages come from the mirror of the machine's own apt. They are only unpacked: none of their scripts
run, and the machine is not changed. For one process and its children, `enter` replaces `/usr`, `/etc` and
`/var/cache` by those of the root. All other paths, the loopback interface and the processes are the
machine's own. Needs only the standard library.

Sources:
    unshare(1), mount_namespaces(7); apt-get(8), --print-uris; Debian Policy, chapter 6
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SUITES = {"3.0": "trixie", "3.2": "forky"}
PACKAGES = (
    *("gimp", "python3-gi-cairo", "fonts-dejavu-core"),
    *("xvfb", "xauth", "xdotool", "imagemagick", "openbox"),
    *("base-files", "base-passwd", "bash", "coreutils", "libc-bin", "dash", "debianutils", "findutils"),
    *("grep", "sed"),
)
# Dependencies that GIMP and Xvfb never open; a third of the download.
NEVER_OPENED = re.compile(
    r"libllvm|libz3|mesa-libgallium|libgl1-mesa-dri|libsystemd-shared|systemd|dbus-user-session"
    r"|libpam-systemd|fonts-urw-base35|dpkg|passwd|perl|dmsetup"
)
KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
NEVER_READ = ("man", "doc", "locale", "info", "help")
STAMP = "made-by"
EXCHANGED = ("etc", "var/cache", "usr")
COMMANDS_OF_SCRIPTS = (
    ("/usr/sbin/ldconfig",),
    ("/usr/lib/{triplet}/glib-2.0/glib-compile-schemas", "/usr/share/glib-2.0/schemas"),
    ("/usr/lib/{triplet}/gdk-pixbuf-2.0/gdk-pixbuf-query-loaders", "--update-cache"),
    ("update-mime-database", "/usr/share/mime"),
    ("fc-cache", "-s"),
)


class NoGimp(Exception):
    """There is no GIMP; the text gives the reason."""


def main() -> None:
    """Make FOLDER unless this version of this file has made it, and write its commands."""
    version, folder = sys.argv[1], Path(sys.argv[2]).resolve()
    try:
        check_machine()
        if not is_current(folder):
            build(version, folder)
        write_commands(folder)
        check_version(version, folder)
    except NoGimp as error:
        sys.exit(str(error))
    except subprocess.CalledProcessError as error:
        reason = error.stderr.strip() or shlex.join(error.cmd)
        sys.exit(f"GIMP {version} could not be prepared, because {Path(error.cmd[0]).name} failed: {reason}")


def check_machine() -> None:
    """Raise NoGimp unless /usr can be replaced for one process and its children."""
    if not sys.platform.startswith("linux") or not Path("/lib").is_symlink():
        raise NoGimp("GIMP for the tests needs a Linux whose /lib is a link into /usr.")
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    unshare = ["unshare", "--mount", *as_root, "true"]
    if subprocess.run(unshare, stderr=subprocess.DEVNULL).returncode:
        raise NoGimp(
            "GIMP for the tests needs its own mounts, as root or in a user namespace, and this machine "
            f"forbids them. '{shlex.join(unshare)}' must work."
        )


def build(version: str, folder: Path) -> None:
    """Make `folder` as a whole; after an interruption the downloaded packages are used again."""
    draft = folder.with_name(f"{folder.name}.part")
    downloads, root = draft / "apt", draft / "root"
    shutil.rmtree(root, ignore_errors=True)
    packages = download(SUITES[version], downloads)
    make_skeleton(root)
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda package: unpack(package, root), packages))
    write_commands(draft)
    configure(root, draft / "enter")
    (draft / STAMP).write_text(_own_digest())
    shutil.rmtree(downloads)
    shutil.rmtree(folder, ignore_errors=True)
    draft.rename(folder)


def is_current(folder: Path) -> bool:
    """Return whether this version of this file has made `folder`."""
    stamp = folder / STAMP
    return stamp.exists() and stamp.read_text() == _own_digest()


def _own_digest() -> str:
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()


def download(suite: str, folder: Path) -> list[Path]:
    """Download the packages that GIMP needs from a Debian `suite`, verified by apt; return their files."""
    apt = _private_apt(suite, folder)
    _run(*apt, "update")
    plan = _run(*apt, "--print-uris", "install", *PACKAGES)
    files = [line.split()[1] for line in plan.splitlines() if line.startswith("'")]
    wanted = [file for file in files if not NEVER_OPENED.match(file)]
    missing = [file.partition("_")[0] for file in wanted if not (folder / file).exists()]
    if missing:
        _run(*apt, "download", *missing, cwd=folder)
    return [folder / file for file in wanted]


def _private_apt(suite: str, folder: Path) -> list[str]:
    """Return an apt-get command for one suite without installed packages, confined to `folder`."""
    for place in ("state/lists/partial", "cache/archives/partial"):
        (folder / place).mkdir(parents=True, exist_ok=True)
    (folder / "status").touch()
    (folder / "sources.list").write_text(f"deb [signed-by={KEYS}] {_mirror()} {suite} main\n")
    options = {
        "Dir::State": folder / "state",
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder / "cache",
        "Dir::Etc::sourcelist": folder / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "root",
        "APT::Update::Post-Invoke-Success::": "",
        "APT::Update::Error-Mode": "any",
        "Acquire::Languages": "none",
        "Acquire::Check-Valid-Until": "false",  # testing's index may be a little old
        "Acquire::Retries": "3",
        "Debug::NoLocking": "1",
    }
    return ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in options.items())]


def _mirror() -> str:
    """Return the Debian mirror of the machine's own apt."""
    if not shutil.which("apt-get"):
        raise NoGimp("GIMP for the tests is unpacked from Debian's packages, which needs apt-get.")
    if not Path(KEYS).exists():
        raise NoGimp(f"Debian's packages are verified with {KEYS}. Install debian-archive-keyring.")
    sites = _run("apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages").split()
    for site in sites:
        if site.rstrip("/").endswith("/debian"):
            return site
    raise NoGimp("GIMP for the tests comes from a Debian mirror, and this machine's apt has none.")


def make_skeleton(root: Path) -> None:
    """Make the folders and links of a merged /usr, so that a package's /lib is unpacked into /usr/lib."""
    for folder in ("usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "etc", "var/cache"):
        (root / folder).mkdir(parents=True)
    for link in ("bin", "sbin", "lib", "lib64"):
        (root / link).symlink_to(f"usr/{link}")


def unpack(package: Path, root: Path) -> None:
    """Unpack a package into `root`, without its documentation and translations."""
    excluded = " ".join(f"--exclude=./usr/share/{name}/*" for name in NEVER_READ)
    unpacking = 'dpkg-deb --fsys-tarfile "$0" | tar -xC "$1" --keep-directory-symlink --no-same-owner '
    _run("bash", "-o", "pipefail", "-c", unpacking + excluded, str(package), str(root))


def configure(root: Path, enter: Path) -> None:
    """Do the work of the packages' own scripts that GIMP and Xvfb need."""
    for name in ("passwd", "group"):
        shutil.copy(root / f"usr/share/base-passwd/{name}.master", root / "etc" / name)
    (root / "etc/machine-id").write_text(f"{uuid.uuid4().hex}\n")
    libraries = next((root / "usr/lib").glob("*-linux-gnu*"))
    _link(root / "usr/bin/sh", "dash")
    _link(root / "usr/bin/awk", "mawk")
    _link(root / "usr/bin/import", next((root / "usr/bin").glob("import-im*")).name)
    for library in ("blas/libblas.so.3", "lapack/liblapack.so.3"):
        if (libraries / library).exists():
            _link(libraries / Path(library).name, library)
    for command in COMMANDS_OF_SCRIPTS:
        _run(str(enter), *(word.format(triplet=libraries.name) for word in command))


def _link(link: Path, target: str) -> None:
    link.unlink(missing_ok=True)
    link.symlink_to(target)


def write_commands(folder: Path) -> None:
    """Write `enter` and `gimp-console` into `folder`."""
    root = folder / "root"
    exchange = [f"mount --rbind {shlex.quote(f'{root / place}')} /{place}" for place in EXCHANGED]
    inside = ["set -e", "export PATH=/usr/bin:/bin LANG=C.UTF-8", *_keep_python(root), *exchange, 'exec "$@"']
    script = shlex.quote("\n".join(inside))
    unshare = 'unshare --mount --propagation private $([ "$(id -u)" = 0 ] || echo --map-root-user)'
    _write_command(folder / "enter", f'exec {unshare} sh -c {script} enter "$@"')
    _write_command(folder / "gimp-console", f'exec {shlex.quote(str(folder / "enter"))} gimp-console "$@"')


def _keep_python(root: Path) -> list[str]:
    """Return commands that mount this Python into `root` if it is in /usr; environments need it."""
    prefix, version = Path(sys.base_prefix), f"python{sys.version_info.major}.{sys.version_info.minor}"
    if not prefix.is_relative_to("/usr"):
        return []
    of_the_system = prefix == Path("/usr")
    kept = [prefix / "bin" / version, prefix / "lib" / version] if of_the_system else [prefix]
    commands = []
    for path in kept:
        place = root / path.relative_to("/")
        if path.is_dir():
            place.mkdir(parents=True, exist_ok=True)
        elif not place.exists():
            place.touch()
        commands.append(f"mount --bind {path} {shlex.quote(str(place))}")
    return commands


def _write_command(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


def check_version(version: str, folder: Path) -> None:
    """Raise NoGimp unless `folder` holds a GIMP 3 of that version or newer (Debian moves on) that starts."""
    output = _run(str(folder / "gimp-console"), "--version").strip()
    if not _numbers(version) <= _numbers(output.rpartition(" ")[2]) < (4,):
        raise NoGimp(f"Debian {SUITES[version]} should contain GIMP {version} but contains {output}")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)))


def _run(*command: str, cwd: Path | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True)
    return done.stdout


if __name__ == "__main__":
    main()
