"""The options: what they mean together, which have no effect, and what misspelt ones could mean."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from atelier_shared.deepdream import DeepDream
from atelier_shared.errors import AtelierError
from atelier_shared.style_transfer import StyleTransfer
from backend.command.arguments import parse, parser, request_of
from backend.command.man_page import man_page
from backend.command.picture_files import reading

STYLE = ["style", "in.png", "-o", "out.png"]
DREAM = ["dream", "in.png", "-o", "out.png"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([*STYLE, "--method", "gallery", "--style", "a.png"], "--style has no effect with --method gallery"),
        ([*STYLE, "--method", "gallery", "--style-mask", "a.png"], "--style-mask has no effect"),
        ([*STYLE, "--method", "gallery", "--style-size", "2"], "choose --method fine or fast or light"),
        ([*STYLE, "--method", "gallery", "--colours", "matched"], "--colours matched has no effect"),
        ([*STYLE, "--method", "gallery", "--each-style"], "--each-style has no effect"),
        ([*STYLE, "--gallery-style", "dusk"], "--gallery-style has no effect with --method fine"),
        ([*STYLE, "--method", "fast", "--iterations", "5"], "--iterations has no effect with --method fast"),
        ([*STYLE, "--method", "fast", "--seed", "5"], "--seed has no effect"),
        (
            [*STYLE, "--each-style", "--style-weights", "1, 2"],
            "--style-weights has no effect with --each-style",
        ),
        ([*DREAM, "--guide", "a.png", "--objective", "activation"], "--guide has no effect with --objective"),
        ([*DREAM, "--objective", "activation", "--class", "cat"], "--imagenet-class has no effect"),
        ([*DREAM, "--class", "cat", "--channels", "3"], "--channels has no effect with --objective class"),
        ([*DREAM, "--octaves", "99"], "octaves must be from 1 to 12"),
    ],
)
def test_an_option_without_effect_is_refused(words: list[str], expected: str) -> None:
    with pytest.raises(AtelierError, match=expected.replace("-", r"\-")):
        request_of(parse(words))


def test_the_default_of_an_option_without_effect_is_no_mistake() -> None:
    assert request_of(parse([*STYLE, "--method", "gallery"])) == StyleTransfer(method="gallery")
    assert request_of(parse([*DREAM, "--preset", "eyes", "--guide", "a.png"])).needs_picture


def test_a_class_and_a_guide_set_the_objective() -> None:
    wanted = DeepDream(objective="class", imagenet_class="tabby", network="squeezenet")
    for option in ("--class", "--imagenet-class"):
        assert request_of(parse([*DREAM, option, "tabby", "--network", "squeezenet"])) == wanted
    assert request_of(parse([*DREAM, "--guide", "a.png"])) == DeepDream(objective="guide")


def test_contents_may_stand_between_options() -> None:
    options = parse(["style", "a.jpg", "--style", "s.png", "b.jpg", "-o", "out/", "c.jpg"])
    assert options.contents == [Path("a.jpg"), Path("b.jpg"), Path("c.jpg")]


@pytest.mark.parametrize(
    ("words", "suggestion"),
    [
        (["stlye", "in.png"], "Did you mean style?"),
        ([*STYLE, "--method", "fsat"], "Did you mean fast?"),
        ([*STYLE, "--method", "gallery", "--gallery-style", "graet wave"], "Did you mean great wave?"),
        ([*STYLE, "--stlye", "a.png"], "Did you mean --style?"),
        ([*DREAM, "--ocatves=3"], "Did you mean --octaves?"),
        ([*DREAM, "--preset", "eys"], "Did you mean eyes?"),
        ([*STYLE, "--quality", "90"], "Did you mean --jpeg-quality?"),
        ([*DREAM, "--quality", "90"], "Did you mean --jpeg-quality?"),
        (["layers", "vgg91"], "Did you mean vgg19"),
    ],
)
def test_a_misspelt_word_gets_a_suggestion(
    capsys: pytest.CaptureFixture[str], words: list[str], suggestion: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(words)
    assert ended.value.code == 2
    assert suggestion in capsys.readouterr().err


# ── Earlier settings ─────────────────────────────────────────────────────────────────────────────


def line(**changes: object) -> str:
    request = StyleTransfer(method="fast", strength=0.5)
    record = {"content": "in.png", "filter": request.name, "settings": asdict(request), "style": ["/s.png"]}
    return json.dumps({**record, "seconds": 1.5, "notes": [], **changes})


def test_a_line_of_json_repeats_settings_and_styles(tmp_path: Path) -> None:
    file = tmp_path / "lines.json"
    file.write_text(f"{line()}\n{line(content='other.png', seconds=3)}\n{line(error='no')}\n")
    options = parse([*STYLE, "--settings", str(file)])
    assert request_of(options) == StyleTransfer(method="fast", strength=0.5)
    assert options.style == [Path("/s.png")]
    options = parse([*STYLE, "--settings", str(file), "--strength", "1", "--style", "b.png"])
    assert request_of(options) == StyleTransfer(method="fast", strength=1.0)
    assert options.style == [Path("b.png")]


def test_the_parasite_of_a_layer_repeats_settings_and_styles(tmp_path: Path) -> None:
    request = DeepDream(objective="guide", octaves=2)
    record = {"filter": request.name, **asdict(request), "frames": 1, "pictures": ["file:///a%20b.png"]}
    (tmp_path / "parasite").write_bytes(json.dumps(record, indent=1).encode() + b"\0")
    options = parse([*DREAM, "--settings", str(tmp_path / "parasite")])
    assert request_of(options) == request
    assert options.guide == Path("/a b.png")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (line() + "\n" + line(style=["/other.png"]), "different settings"),
        (json.dumps({"filter": "deepdream", "settings": {}}), "no settings for 'atelier style'"),
        ("not json", "cannot be read as settings"),
        ("[]", "no settings"),
        (line(settings={"strength": 9}), "strength must be from"),
        (line(settings={"nonsense": 9}), "nonsense"),
        (line(style=None, settings=None, pictures=["a layer"]), "layer or pattern"),
    ],
)
def test_unsuitable_settings_are_refused(tmp_path: Path, content: str, expected: str) -> None:
    (tmp_path / "file").write_text(content)
    with pytest.raises(AtelierError, match=expected):
        request_of(parse([*STYLE, "--settings", str(tmp_path / "file")]))


def test_the_limit_of_size_is_the_same_for_the_options_and_the_reader() -> None:
    assert parse(STYLE).max_megapixels == reading.MAX_MEGAPIXELS


# ── The manual ───────────────────────────────────────────────────────────────────────────────────


def test_the_manual_page_has_every_option_of_every_command() -> None:
    page = man_page(parser(), "1.2.3").replace("\\-", "-")
    assert page.startswith('.TH ATELIER 1 "" "Atelier 1.2.3"')
    for option in (
        "--style",
        "--jpeg-quality N",
        "--gallery-mix TEXT",
        "--preset",
        "-o, --output OUT",
        "--bundle",
    ):
        assert f".B {option}" in page, option
    assert "\n.B atelier stop\n" in page and "\n.B atelier doctor [options]\n" in page
    assert "%(default)s" not in page and "SUPPRESS" not in page
