"""GIMP with its window on a virtual screen, operated by keyboard and by mouse.

Atelier's filters are expected at the end of the Filters menu.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import psutil
from gimp_session import Gimp, filters_in
from PIL import Image
from screen_file import read_screen

WATCH = Path(__file__).parent / "watch_images.py"
TICK = Path(__file__).parent / "tick"
WIDTH, HEIGHT = 1280, 800
KEY_DELAY_MS = 40
GIMP = "GIMP$"
"""The end of the title of GIMP's window."""
START_S, WINDOW_S = 180.0, 60.0
POLL_S, FILE_POLL_S = 0.2, 0.02  # each look at the windows starts a process
TAKEN_S = 15.0  # until a pressed key has had its effect
MENU_S = 5.0  # until a click or a movement in a menu has had its effect
MENU_IGNORES_S = 0.6  # GTK ignores a click in a menu within 0.5 s of that on the menu bar: gtkmenushell.c
END_S = 10.0
SETTLE_S = 1.0  # no event shows that a window has been drawn
TRIES = 3
LOG_SHOWN = 4000

T = TypeVar("T")


class GimpWindow:
    """A running GIMP that shows one photo; screenshots go into a folder of their own.

    `scale` enlarges the screen and everything on it, `text_scale` only the text; `variables` are further
    ones of GIMP's environment. With `ticks`, delays in the filters' main loops are recorded.
    """

    def __init__(
        self,
        gimp: Gimp,
        photo: Path,
        screenshots: Path,
        scale: int = 1,
        size: tuple[int, int] = (WIDTH, HEIGHT),
        text_scale: float = 1.0,
        variables: Mapping[str, str] | None = None,
        ticks: bool = False,
    ) -> None:
        self.gimp, self._photo, self._screenshots = gimp, photo, screenshots
        self._described, self._code = gimp.user / "image.json", gimp.user / "code.py"
        self._ticks = gimp.user / "ticks.jsonl"
        self._language = gimp.user / "language.txt"
        self._question, self._answer = gimp.user / "question.txt", gimp.user / "answer.json"
        files = {"IMAGE": self._described, "CODE": self._code, "PHOTO": photo}
        files |= {"TICKS": self._ticks} if ticks else {}
        files |= {"QUESTION": self._question, "ANSWER": self._answer, "LANGUAGE": self._language}
        names = {f"ATELIER_TEST_{name}": str(file) for name, file in files.items()}
        self.width, self.height = scale * size[0], scale * size[1]
        self._xdotool = _xdotool(gimp.folder / "root")
        looks = {"GDK_SCALE": str(scale), "GDK_DPI_SCALE": str(text_scale)}
        others = {"PYTHONPATH": str(TICK), "LANG": "C.UTF-8"}
        self._environment = {**gimp.environment, **names, **looks, **others, **(variables or {})}
        self._processes = ExitStack()
        self._shots = self._questions = 0

    def __enter__(self) -> GimpWindow:
        """Start the screen, a window manager and GIMP. Wait until GIMP shows the photo."""
        with self._processes as processes:
            screen = "-screen", "0", f"{self.width}x{self.height}x24", "-nolisten", "tcp", "-displayfd", "1"
            in_file = "-fbdir", str(self.gimp.user), "-nocursor"
            no_repeats = "-r"  # a slow machine releases keys late
            xvfb = processes.enter_context(self._running("Xvfb", *screen, *in_file, no_repeats))
            assert xvfb.stdout
            display = xvfb.stdout.readline().decode().strip()
            assert display, "Xvfb did not start"
            self._environment["DISPLAY"] = f":{display}"
            processes.enter_context(self._running("openbox"))
            batch = ("--batch-interpreter=python-fu-eval", "-b", f"exec(open({str(WATCH)!r}).read())")
            command = "gimp", "--no-splash", *batch, str(self._photo)
            self._process = processes.enter_context(self._running(*command))
            self.wait_until(lambda: self.image(START_S), "GIMP opens the photo", START_S)
            self._fill_screen()
            self._processes = processes.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """End GIMP and its screen."""
        self._processes.close()

    def image(self, within_s: float = WINDOW_S) -> dict[str, Any]:
        """Return the present description by watch_images; an empty one while there is no photo."""
        self.run_python("", within_s)
        image: dict[str, Any] = json.loads(self._described.read_text())
        return image

    def layers(self) -> list[dict[str, Any]]:
        """Return the photo's layers, top first."""
        layers: list[dict[str, Any]] = self.image()["layers"]
        return layers

    def run_python(self, code: str, within_s: float = WINDOW_S) -> None:
        """Run Python code in GIMP, and wait for its end."""
        _write(self._code, code)
        self.wait_until(lambda: not self._code.exists(), "GIMP has run the code", within_s, FILE_POLL_S)

    def open_from_menu(self, key: str, title: str) -> str:
        """Open Filters ▸ Neural ▸ the entry with the underlined letter `key`; return its dialog."""
        for attempt in range(TRIES):
            self.press("alt+r", "Up", "Right")  # the last entry of Filters, and into it
            self.take_screenshot(f"{title.strip('^$')}-menu")
            self.press(key)
            try:
                self.wait_until(self._filters, "a filter runs", WINDOW_S / TRIES)
                return self.wait_for_dialog(title)
            except TimeoutError:
                if attempt == TRIES - 1 or self._filters():
                    raise
                self.press("Escape", "Escape", "Escape")
        raise AssertionError("unreachable")

    def wait_for(self, title: str) -> str:
        """Wait until the window with a title is open, focused and probably drawn; return it."""
        window = self._wait_for_focus(title)
        time.sleep(SETTLE_S)
        return window

    def wait_for_dialog(self, title: str) -> str:
        """Wait until a filter's dialog is open, focused and drawn; return it."""
        window = self._wait_for_focus(title)
        self.visible_texts()
        return window

    def _wait_for_focus(self, title: str) -> str:
        return self.wait_until(lambda: self._focused(title), f"{title} is open and focused")

    def wait_until(
        self, holds: Callable[[], T], what: str, within_s: float = WINDOW_S, poll_s: float = POLL_S
    ) -> T:
        """Return the first true value of `holds`; after a time-out, save a screenshot, raise TimeoutError."""
        deadline = time.monotonic() + within_s
        while not (value := holds()):
            if time.monotonic() > deadline:
                self.take_screenshot("time-out")
                log = (self.gimp.user / "gimp.log").read_text(errors="replace")[-LOG_SHOWN:]
                raise TimeoutError(
                    f"Timed out after {within_s:.0f} s. Waited until {what}. GIMP's log: …{log}"
                )
            time.sleep(poll_s)
        return value

    def set_language(self, language: str) -> None:
        """Set the language of the filters' next dialogs; GIMP itself stays English."""
        self._language.write_text(language)

    def confirm(self, title: str) -> None:
        """Press Return until the window with a title is gone."""
        self.press_until("Return", lambda: not self._find(title), f"{title} is closed")

    def press_until(self, key: str, has_effect: Callable[[], object], what: str) -> None:
        """Press a key until it has its effect; a window whose focus is changing may miss it."""
        self._repeat(lambda: self.press(key), has_effect, what, TAKEN_S)

    def choose_from_menu(self, bar: tuple[int, int], *entries: float) -> None:
        """Click on the menu bar at a place, point at an entry of each menu that opens, and click on the last.

        An entry is given by its place in the height of its menu, from 0 at the top to 1. A click on the entry
        of a submenu that is open already would close it.
        """
        known = set(self.wait_until(self._windows, "the search is not upset by a window that closes"))
        menu = self._menu_opened_by(self.click_at, bar, known)
        for entry in entries[:-1]:
            known.add(menu)
            menu = self._menu_opened_by(self._point_at, self._place_in(menu, entry), known)
        time.sleep(MENU_IGNORES_S)
        place = self._place_in(menu, entries[-1])
        self._repeat(
            lambda: self.click_at(*place), lambda: menu not in self._windows(), "the menu is closed", MENU_S
        )

    def _menu_opened_by(
        self, act: Callable[[int, int], None], place: tuple[int, int], known: set[str]
    ) -> str:
        """Act on a place until a window opens that is not in `known`; return it."""
        (opened,) = self._repeat(
            lambda: act(*place), lambda: set(self._windows()) - known, "a menu opens", MENU_S
        )
        return opened

    def _place_in(self, menu: str, entry: float) -> tuple[int, int]:
        left, top, width, height = self.box_of(menu)
        return left + width // 2, top + round(entry * height)

    def _repeat(self, act: Callable[[], None], has_effect: Callable[[], T], what: str, within_s: float) -> T:
        """Act until it has its effect, and return that; a window that has just opened may miss it."""
        for _ in range(TRIES - 1):
            act()
            with suppress(TimeoutError):
                return self.wait_until(has_effect, what, within_s)
        act()
        return self.wait_until(has_effect, what, within_s)

    def _point_at(self, x: int, y: int) -> None:
        """Move the pointer to a place; the first step makes sure that it moves."""
        self._do("mousemove", str(x - 1), str(y), "mousemove", str(x), str(y))

    def click(self, text: str, times: int = 1, button: int = 1) -> None:
        """Click in the filter's dialog on a text, or on something with a tooltip, that begins with `text`."""
        left, top, width, height = self.place_of(text)
        self.click_at(left + width // 2, top + height // 2, times, button)

    def place_of(self, text: str) -> tuple[int, int, int, int]:
        """Return left, top, width and height of a text, or of something with a tooltip, that begins so."""
        places = [box for name, box in self._report("places") if name.startswith(text)]
        assert places, f"there is no “{text}” in the dialog"
        left, top, width, height = places[0]
        return left, top, width, height

    def drag(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        """Press the mouse button at a place, and release it at another one."""
        self._do("mousemove", *map(str, start), "mousedown", "1")
        self._do("mousemove", *map(str, end))
        time.sleep(POLL_S)
        self._do("mouseup", "1")

    def click_at(self, x: int, y: int, times: int = 1, button: int = 1) -> None:
        """Click at a place of the screen."""
        self._do("mousemove", str(x), str(y))
        time.sleep(POLL_S)
        self._do("click", "--repeat", str(times), "--delay", "80", str(button))

    def visible_texts(self) -> list[str]:
        """Wait until the filter's dialog has processed all input and is drawn; return its visible texts."""
        texts: list[str] = self._report("texts")
        return texts

    def settings(self) -> dict[str, Any]:
        """Wait like `visible_texts`; return the dialog's texts and numbers by the names of arguments."""
        settings: dict[str, Any] = self._report("settings")
        return settings

    def _report(self, kind: str) -> Any:
        """Return a report of `dialog_texts`."""
        self._questions += 1
        question = f"{kind} {self._questions}"
        _write(self._question, question)
        (report,) = self.wait_until(
            lambda: self._answer_to(question), "the dialog is idle", poll_s=FILE_POLL_S
        )
        return report

    def is_open(self, title: str) -> bool:
        """Return whether a window with a title is open."""
        return bool(self._find(title))

    def wait_for_end(self, title: str, within_s: float = WINDOW_S) -> None:
        """Wait until a dialog is closed, its filter has ended, and GIMP's window is focused."""
        self.wait_until(lambda: not self._find(title), f"{title} is closed", within_s)
        self.wait_until(lambda: not self._filters(), "the filter has ended")
        self.wait_until(lambda: self._focused(GIMP), "GIMP's window is focused")

    def press(self, *keys: str) -> None:
        """Press keys one after the other."""
        self._do("key", "--delay", str(KEY_DELAY_MS), *keys)

    def write(self, text: str) -> None:
        """Type a text."""
        self._do("type", "--delay", "20", text)

    def box_of(self, window: str) -> tuple[int, int, int, int]:
        """Return left, top, width and height of a window on the screen, without its frame."""
        output = self._do("getwindowgeometry", "--shell", window)
        box = dict(line.split("=") for line in output.splitlines())
        return int(box["X"]), int(box["Y"]), int(box["WIDTH"]), int(box["HEIGHT"])

    def screen_hash(self, box: tuple[int, int, int, int]) -> str:
        """Return a hash of the pixels in a box of the screen: left, top, width, height."""
        left, top, width, height = box
        cropped = self._screen().crop((left, top, left + width, top + height))
        return hashlib.sha256(cropped.tobytes()).hexdigest()

    def late_ticks(self, since_s: float) -> list[dict[str, Any]]:
        """Return the late ticks of a filter's main loop since a time of the monotonic clock: see `tick`."""
        lines = self._ticks.read_text().splitlines() if self._ticks.exists() else []
        return [late for late in map(json.loads, lines) if late["since"] >= since_s]

    def take_screenshot(self, name: str, window: str = "") -> Path:
        """Save the screen, or a window, as a numbered picture."""
        self._shots += 1
        file = self._screenshots / f"{self._shots:02}-{name.lower().replace(' ', '-')}.png"
        left, top, width, height = self.box_of(window) if window else (0, 0, self.width, self.height)
        self._screen().crop((left, top, left + width, top + height)).save(file, compress_level=1)
        return file

    def _screen(self) -> Image.Image:
        """Return the screen, once the server has answered a request and with it drawn all earlier ones."""
        self._do("getdisplaygeometry")
        return read_screen(self.gimp.user)

    def _fill_screen(self) -> None:
        window = self.wait_for(GIMP)
        size = str(self.width - 10), str(self.height - 40)
        self._do("windowmove", window, "0", "0", "windowsize", window, *size)
        self._do("mousemove", *size)  # away from everything with a tool tip
        time.sleep(SETTLE_S)

    def _filters(self) -> list[psutil.Process]:
        return filters_in(self._process.pid)

    def _windows(self) -> list[str]:
        """Return GIMP's windows; an open menu is one, too."""
        return self._ask("search", "--onlyvisible", "--class", "gimp")

    def _find(self, title: str) -> list[str]:
        return self._ask("search", "--onlyvisible", "--name", title)

    def _focused(self, title: str) -> str:
        """Return the window with a title if it is focused; otherwise focus it and return an empty text."""
        found, focused = self._find(title), self._ask("getwindowfocus")
        if found and not set(focused) & set(found):
            self._ask("windowactivate", found[-1])
        return next((window for window in focused if window in found), "")

    def _answer_to(self, question: str) -> list[Any]:
        answered, *report = json.loads(self._answer.read_text()) if self._answer.exists() else [""]
        return report if answered == question else []

    def _ask(self, *words: str) -> list[str]:
        """Return xdotool's output; none if it fails, for example because a window was just closed."""
        command = [*self._xdotool, *words]
        return subprocess.run(command, env=self._environment, capture_output=True, text=True).stdout.split()

    def _do(self, *words: str) -> str:
        """Return xdotool's output; it must succeed."""
        return subprocess.check_output([*self._xdotool, *words], env=self._environment, text=True)

    @contextmanager
    def _running(self, *command: str) -> Iterator[subprocess.Popen[bytes]]:
        with (
            (self.gimp.user / f"{command[0]}.log").open("wb") as log,
            running([str(self.gimp.folder / "enter"), *command], self._environment, log.fileno()) as process,
        ):
            yield process


def _xdotool(root: Path) -> list[str]:
    """Return the command of the xdotool in GIMP's root, with the root's own loader and libraries.

    It starts in a third of the time that `enter` needs for its mounts. A journey calls it some hundred times.
    """
    (loader,) = root.glob("usr/lib*/ld-linux-*")
    (libraries,) = root.glob("usr/lib/*-linux-gnu*")
    return [str(loader), "--library-path", str(libraries), str(root / "usr/bin/xdotool")]


def _write(file: Path, text: str) -> None:
    """Write a file that another process polls, so that it is never seen unfinished."""
    draft = file.with_suffix(".part")
    draft.write_text(text)
    draft.replace(file)


@contextmanager
def running(
    command: list[str], environment: Mapping[str, str], log: int
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process. At the end of the block, end it and all processes of its session."""
    process = subprocess.Popen(
        command,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.communicate(timeout=END_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
