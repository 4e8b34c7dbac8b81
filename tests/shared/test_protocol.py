"""Packing, limits and signing, as pure functions of bytes."""

from __future__ import annotations

import hashlib
import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier_shared.codec import MAX_FRAMES, pack, unpack
from atelier_shared.deepdream import DeepDream
from atelier_shared.errors import ProtocolError
from atelier_shared.messages import (
    Arrays,
    Beat,
    Cancel,
    Cancelled,
    Failed,
    FinishEarly,
    Frame,
    Hello,
    Help,
    HelpBegins,
    HelpEnds,
    Message,
    Picture,
    PreviousFrame,
    Progress,
    Queued,
    Refused,
    Region,
    Result,
    Share,
    Stop,
    Submit,
    TileAnswer,
    TileTask,
    Welcome,
)
from atelier_shared.requests import Identity
from atelier_shared.signing import DIGEST_PIECE_BYTES, Signer, frame_digest
from atelier_shared.style_transfer import StyleTransfer

GRAY = Picture(2, 1, "Y", "u8", b"\x00\xff")
DEEP = Picture(1, 2, "RGBA", "f32", bytes(32))
KEY = bytes(range(32))

EVERY_MESSAGE: list[Message] = [
    Hello(1, "ab"),
    Welcome(1, "ab", "cd"),
    Refused(1, "No."),
    Submit(1, StyleTransfer(method="fast", strength=0.5), DEEP, Region(0, 1, 1, 1), (GRAY, DEEP)),
    Submit(2, DeepDream(layers="Mixed_6a", channels="3-5"), GRAY, Region(0, 0, 2, 1)),
    Submit(3, Identity(), GRAY, Region(1, 0, 1, 1)),
    Submit(4, Identity(), GRAY, Region(0, 0, 2, 1), (DEEP,), previous=PreviousFrame(GRAY, GRAY)),
    Cancel(3),
    FinishEarly(3),
    Stop(),
    Queued(1, 2),
    Progress(1, 2, 3),
    Progress(1, 2, 3, GRAY),
    Result(1, DEEP, "So."),
    Failed(1, "bad-request", "No."),
    Failed(1, "bad-request", "There is no {name}.", {"name": "{x}"}),
    Cancelled(1),
    Beat(),
    Share(1),
    Help(1, StyleTransfer(method="fine")),
    HelpBegins(1, 2),
    HelpEnds(1, 2),
    TileTask(1, 2, 3, "sums", 4, Region(1, 0, 1, 1), Arrays({"image": (1, 2), "scale": ()}, bytes(12))),
    TileTask(1, 2, 3, "gradient", 4, Region(1, 0, 1, 1), Arrays({}, b"")),
    TileAnswer(1, 3, Arrays({"loss": ()}, bytes(4))),
]


@pytest.mark.parametrize("message", EVERY_MESSAGE, ids=lambda message: message.type)
def test_unpacking_a_packed_message_restores_it(message: Message) -> None:
    assert unpack(pack(message)) == message


def header(**changes: object) -> list[Frame]:
    """Return a Submit of the GRAY picture with changed header fields; None removes a field."""
    frames = pack(EVERY_MESSAGE[5])
    fields = json.loads(bytes(frames[0])) | changes
    return [json.dumps({k: v for k, v in fields.items() if v is not None}).encode(), *frames[1:]]


def request(**changes: object) -> list[Frame]:
    return header(request={"filter": "deepdream"} | changes)


def failed(template: str, values: object) -> list[Frame]:
    return [
        json.dumps(
            vars(Failed(1, "internal", "")) | {"type": "failed", "template": template, "values": values}
        ).encode()
    ]


def answer(arrays: object, *frames: Frame) -> list[Frame]:
    fields = {"type": "tile-answer", "job": 1, "task": 2, "arrays": arrays}
    return [json.dumps(fields).encode(), *frames]


LARGER = {"width": 3, "height": 1, "channels": "Y", "depth": "u8"}
PICTURE = {"width": 2, "height": 1, "channels": "Y", "depth": "u8"}

MALFORMED: dict[str, list[Frame]] = {
    "no frames": [],
    "too many frames": [b"{}"] * (MAX_FRAMES + 1),
    "a long header": [b" " * 70_000],
    "not JSON": [b"\xff\xfe"],
    "JSON nested without end": [b"[" * 60_000],
    "not an object": [b"[1]"],
    "no type": [b"{}"],
    "an unknown type": [b'{"type": "surprise"}'],
    "a type that is no text": [b'{"type": {}}'],
    "a field missing": header(job=None),
    "a field too many": header(colour="red"),
    "a number as text": header(job="1"),
    "a boolean as number": header(job=True),
    "a fraction as number": header(job=1.5),
    "a template without its values": failed("There is no {name}.", {}),
    "values without a template": failed("No.", {"name": "x"}),
    "a template that formats a value": failed("{name:>99999999999}", {"name": "x"}),
    "a template that reads a field": failed("{name.real}", {"name": "x"}),
    "a value that is no text": failed("There is no {name}.", {"name": 1}),
    "values that are no object": failed("There is no {name}.", 1),
    "arrays without values": answer({"loss": []}),
    "values without arrays": answer({}, bytes(4)),
    "an array of fewer values": answer({"loss": [2]}, bytes(4)),
    "an array of no length": answer({"loss": [0], "image": [1]}, bytes(4)),
    "an array of negative lengths": answer({"image": [-1, -1]}, bytes(4)),
    "an array of fractional length": answer({"image": [1.0]}, bytes(4)),
    "an array of length true": answer({"image": [True]}, bytes(4)),
    "an array of text": answer({"image": "1"}, bytes(4)),
    "an endless array": answer({"image": [10**400] * 100}, bytes(4)),
    "arrays that are none": answer(3, bytes(4)),
    "pixels missing": header()[:1],
    "pixels too many": [*header(), b"x"],
    "pixels too short": [header()[0], b"x"],
    "a picture of no width": header(content=PICTURE | {"width": 0}),
    "a picture of fractional width": header(content=PICTURE | {"width": 2.0}),
    "a picture too wide": header(content=PICTURE | {"width": 2**20}),
    "unknown channels": header(content=PICTURE | {"channels": "CMYK"}),
    "channels that are no text": header(content=PICTURE | {"channels": []}),
    "an unknown depth": header(content=PICTURE | {"depth": "f64"}),
    "pixels in the header": header(content=PICTURE | {"pixels": "xx"}),
    "a picture that is none": header(content=3),
    "styles that are no list": header(styles=3),
    "a previous frame that is none": header(previous=3),
    "a previous frame without its result": [*header(previous=[PICTURE]), b"xx"],
    "a previous frame of three pictures": [*header(previous=[PICTURE] * 3), *[b"xx"] * 3],
    "a previous frame of another size": [*header(previous=[LARGER, PICTURE]), b"xxx", b"xx"],
    "a result of another size than the region": [*header(previous=[PICTURE, PICTURE]), b"xx", b"xx"],
    "a region outside": header(region={"x": 1, "y": 0, "width": 2, "height": 1}),
    "a region left of it": header(region={"x": -1, "y": 0, "width": 2, "height": 1}),
    "an empty region": header(region={"x": 0, "y": 0, "width": 0, "height": 1}),
    "a region of text": header(region={"x": "0", "y": 0, "width": 2, "height": 1}),
    "an unknown filter": header(request={"filter": "blur"}),
    "no filter": header(request={}),
    "an unknown setting": request(colour=1),
    "a setting too small": request(octaves=0),
    "a setting too large": request(strength=1.01),
    "a setting that is no number": request(strength="1"),
    "a setting that is not finite": [
        bytes(request()[0]).replace(b"}, ", b', "strength": NaN}, ', 1),
        b"\x00\xff",
    ],
    "a number too large for a float": request(strength=10**400),
    "a whole number beyond all bounds": request(octaves=10**400),
    "styles missing": header(styles=None),
    "a fraction where whole numbers are asked": request(octaves=2.5),
    "an unknown choice": request(network="vgg5"),
    "a choice that is no text": request(network=["vgg19"]),
    "a text of another form": request(layers="Mixed_6a:none"),
    "a text that is none": request(layers=["Mixed_6a"]),
    "an endless text": request(layers="x" * 2000),
}


@pytest.mark.parametrize("frames", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_message_is_refused(frames: list[Frame]) -> None:
    with pytest.raises(ProtocolError):
        unpack(frames)


@given(st.lists(st.binary(max_size=200), max_size=4))
def test_random_frames_only_raise_protocol_errors(frames: list[bytes]) -> None:
    with pytest.raises(ProtocolError):
        unpack(frames)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(st.sampled_from(["job", "request", "content", "region", "styles", "previous"]), json_values)
def test_any_value_in_any_field_is_accepted_or_raises_a_protocol_error(name: str, value: object) -> None:
    try:
        message = unpack(header(**{name: value}))
    except ProtocolError:
        return
    assert isinstance(message, Submit)


# ── Signing ──────────────────────────────────────────────────────────────────────────────────────


def signers() -> tuple[Signer, Signer]:
    return Signer(KEY, "one", "two", backend=False), Signer(KEY, "one", "two", backend=True)


def test_the_signature_follows_the_specification() -> None:
    """Compute it independently, from docs/protocol.md."""
    client, _ = signers()
    frames: list[Frame] = [b"header", b"pixels" * 2_000_000]
    client.sign([b"the first message"])
    signature = client.sign(frames)[0]

    own_key = hmac.new(KEY, b"from-client\0one\0two", "sha256").digest()
    signed = (1).to_bytes(8, "big")
    for frame in frames:
        pieces = [frame[i : i + 4 * 1024 * 1024] for i in range(0, len(frame), 4 * 1024 * 1024)]
        digests = b"".join(hashlib.sha256(piece).digest() for piece in pieces)
        signed += len(frame).to_bytes(8, "big") + hashlib.sha256(digests).digest()
    assert signature == hmac.new(own_key, signed, "sha256").digest()


@pytest.mark.parametrize("size", [0, 1, DIGEST_PIECE_BYTES, DIGEST_PIECE_BYTES + 1])
def test_a_frame_s_digest_changes_with_its_last_byte_and_its_length(size: int) -> None:
    frame = bytes(size)
    others = [frame + b"\0", frame[:-1] + b"\1"]
    assert all(frame_digest(frame) != frame_digest(other) for other in others)


def test_signed_messages_are_accepted_in_both_directions() -> None:
    client, backend = signers()
    for message in EVERY_MESSAGE:
        assert unpack(backend.verify(client.sign(pack(message)))) == message
        assert unpack(client.verify(backend.sign(pack(message)))) == message


def test_repeated_reordered_and_reflected_messages_are_refused() -> None:
    client, backend = signers()
    first, second = client.sign([b"1"]), client.sign([b"2"])
    with pytest.raises(ProtocolError):
        backend.verify(second)
    assert backend.verify(first) == [b"1"]
    for wrong in (first, client.sign([b"3"])):
        with pytest.raises(ProtocolError):
            backend.verify(wrong)
    with pytest.raises(ProtocolError):
        client.verify(first)
    assert backend.verify(second) == [b"2"]


@pytest.mark.parametrize(
    "other",
    [Signer(b"x" * 32, "one", "two", backend=False), Signer(KEY, "1", "two", backend=False)],
    ids=["another key", "another connection"],
)
def test_signatures_of_another_key_or_connection_are_refused(other: Signer) -> None:
    _, backend = signers()
    with pytest.raises(ProtocolError):
        backend.verify(other.sign([b"1"]))


@pytest.mark.parametrize(
    "frames", [[b"12", b""], [b"1", b"2", b""], [b"", b"12"], [b"12"]], ids=["a", "b", "c", "d"]
)
def test_bytes_moved_between_frames_invalidate_the_signature(frames: list[Frame]) -> None:
    client, backend = signers()
    signature, *_ = client.sign([b"1", b"2"])
    with pytest.raises(ProtocolError):
        backend.verify([signature, *frames])
