"""The filters in other languages, in real GIMPs: menu entries, errors, and dialogs that fit on the screen."""

from __future__ import annotations

import gettext
from collections.abc import Iterator
from pathlib import Path

import pytest
from backend_jobs import echo_instead
from conftest import CACHE, installed_in, prepared, stop_backend
from gimp_session import PYTHON_PATH, Gimp, add_languages, make_profile
from gimp_window import GimpWindow
from test_window import check_that_the_dialog_is_on_the_screen

PHOTO = Path(__file__).parents[2] / "samples" / "chelsea.jpg"
LONGEST = ("ar", "de", "fr", "ru")
"""Languages with long texts, in three scripts."""
ASK = """
from gi.repository import Gimp
from gimp_cases import Scene, call, staged
procedure = Gimp.get_pdb().lookup_procedure("plug-in-atelier-style-transfer")
print("MENU", procedure.get_menu_label(), procedure.get_menu_paths()[0])
with staged(Scene()) as (image, source):
    print("ERROR", call("deepdream", image, [source], channels="all")[1])
    print("ERROR", call("deepdream", image, [source], channels="5000", network="squeezenet")[1])
"""
EXPECTED = (
    "MENU _Stiltransfer… <Image>/Filters/_Neuronal",
    "ERROR Netzkanäle: „all“ ist kein Kanalbereich. Schreiben Sie 12 oder 12-20.",
    "hat die Kanäle 0 bis ",
    ", nicht 5000 bis 5000. Wählen Sie unter diesen.",
)


def test_menu_entries_and_errors_of_both_sides_are_in_gimp_s_language(gimp: Gimp, tmp_path: Path) -> None:
    variables = {**PYTHON_PATH, **add_languages(gimp, tmp_path), "LANGUAGE": "de"}
    done = gimp.run_python(ASK, env=variables)
    for text in EXPECTED:
        assert text in done.stdout, done.stdout + done.stderr


@pytest.fixture(scope="module")
def home(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return an installation whose backend returns pictures unchanged, because only texts are tested."""
    home = installed_in(tmp_path_factory.mktemp("languages"), models)
    echo_instead(home)
    yield home
    stop_backend(home)


@pytest.fixture(scope="module")
def window(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GimpWindow]:
    """A GIMP 3.2, which is enough for the widths of texts, with the filters in other languages."""
    folder, screenshots = tmp_path_factory.mktemp("gimp"), CACHE / "screenshots" / "languages"
    screenshots.mkdir(parents=True, exist_ok=True)
    gimp = Gimp("3.2", prepared("gimp-3.2"), folder / "user", home)
    gimp.user.mkdir()
    make_profile(gimp, few_plugins=True)
    variables = add_languages(gimp, folder / "locales")
    with GimpWindow(gimp, PHOTO, screenshots, variables=variables) as window:
        yield window


@pytest.mark.parametrize("language", LONGEST)
def test_the_widest_dialog_fits_on_the_screen(window: GimpWindow, language: str) -> None:
    window.set_language(language)
    translate = gettext.translation(
        "atelier", window.gimp.profile / "plug-ins" / "atelier" / "locale", [language]
    ).gettext
    title = f"^{translate('Style Transfer')}$"
    dialog = window.open_from_menu("s", title)
    try:
        assert translate("_Method").replace("_", "") in window.visible_texts()
        check_that_the_dialog_is_on_the_screen(window, dialog)
        window.click(translate("Ad_vanced").replace("_", ""))
        window.visible_texts()
        window.take_screenshot(language, dialog)
        check_that_the_dialog_is_on_the_screen(window, dialog)
    finally:
        window.press("Escape")
        window.wait_for_end(title)
