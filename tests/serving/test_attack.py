"""Attacks on the real backend and the real client. All must fail. SECURITY.md lists them."""

from __future__ import annotations

import functools
import json
import os
import secrets
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import zmq
from conftest import eventually, installed_in

from atelier_shared import launcher
from atelier_shared.client import BackendClient
from atelier_shared.codec import PIECE_BYTES, in_pieces, joined, pack
from atelier_shared.deepdream import DeepDream
from atelier_shared.errors import ProtocolError
from atelier_shared.messages import PROTOCOL_VERSION, Beat, Picture, Region, Result
from atelier_shared.requests import Identity
from atelier_shared.settings import WrongSetting
from atelier_shared.signing import MAX_GREETING_BYTES, Signer, plain_password
from atelier_shared.style_transfer import StyleTransfer
from atelier_shared.zmtp import GREETING, LONG, MORE, ZmtpError
from backend.serving.authentication import HANDSHAKE_MS, MAX_UNAUTHENTICATED

PICTURE, WHOLE = Picture(3, 2, "RGB", "u8", bytes(range(18))), Region(0, 0, 3, 2)
NOBODY = 65534
MEGABYTE = 1_000_000
MOST_GROWTH_BYTES = 40 * MEGABYTE
"""Limit of the backend's memory growth under attack; MAX_UNAUTHENTICATED pieces are 17 MB."""
MOST_DESCRIPTORS = 500
"""Limit of its additional file descriptors under attack by thousands of connections: the cap is enforced
with a delay."""


@pytest.fixture(scope="module")
def home(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Start a backend for all attacks, and check at the end that it is still the same process."""
    home = installed_in(tmp_path_factory.mktemp("attacked"), models)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ATELIER_HOME", str(home))
        assert_works()
        pid = connection().pid
        yield home
        assert connection().pid == pid, "the backend has restarted"
        with connection().open() as client:
            client.stop_backend()
            client.wait_until_gone()


def connection() -> launcher.Connection:
    found = launcher.read_connection()
    assert found
    return found


def assert_works() -> None:
    with launcher.connect() as client:
        *_, last = client.messages(client.submit(Identity(), PICTURE, WHOLE))
        assert isinstance(last, Result) and last.picture == PICTURE


def memory() -> int:
    return int(psutil.Process(connection().pid).memory_info().rss)


def descriptors() -> int:
    return psutil.Process(connection().pid).num_fds()


def connect() -> socket.socket:
    return socket.create_connection(("127.0.0.1", connection().port), 5)


def hello(password: str) -> bytes:
    command = b"\x05HELLO\x07atelier" + bytes([len(password)]) + password.encode()
    return b"\x04" + bytes([len(command)]) + command


# ── Clients without the key ──────────────────────────────────────────────────────────────────────


def answer_to(sent: bytes) -> bytes:
    """Send bytes to the backend, and return everything it sends before it closes the connection."""
    received = b""
    with connect() as peer, suppress(ConnectionError):
        peer.settimeout(HANDSHAKE_MS / 1000 + 15)
        peer.sendall(sent)
        while piece := peer.recv(65536):
            received += piece
    return received


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    "sent",
    [
        GREETING + hello("0" * 64),
        GREETING + hello(""),
        GREETING.replace(b"PLAIN", b"NULL\0") + b"\x04\x1a\x05READY\x0bSocket-Type\0\0\0\x06DEALER",
        GREETING.replace(b"\x03\x01", b"\x03\x00") + hello("0" * 64),
        b"\x01\x00\x00" + b"\x00\x05hello",
        GREETING + b"\x00\x05hello",
        GREETING + b"\x04\x1d\x08INITIATE\x0bSocket-Type\0\0\0\x06DEALER",
    ],
    ids=["wrong-key", "no-password", "no-mechanism", "zmtp-3.0", "zmtp-1", "message-first", "no-hello"],
)
def test_a_client_without_the_key_is_never_accepted(sent: bytes) -> None:
    """An accepted client would receive ZMTP's READY or WELCOME."""
    received = answer_to(sent)
    assert b"READY" not in received and b"WELCOME" not in received
    assert_works()


@pytest.mark.usefixtures("home")
def test_the_password_of_another_backend_or_port_is_refused() -> None:
    there = connection()
    key = bytes.fromhex(there.key)
    for password in (
        plain_password(secrets.token_bytes(32), there.port),
        plain_password(key, there.port ^ 1),
    ):
        assert b"WELCOME" not in answer_to(GREETING + hello(password))
    with pytest.raises(ZmtpError, match="refused the connection or its password"):
        BackendClient(there.port, secrets.token_bytes(32))


def test_a_password_sent_to_a_squatter_is_valid_on_no_other_port(home: Path) -> None:
    """A program listens on an old port and receives a password. The real backend's port refuses it."""
    received: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as squatter:

        def squat() -> None:
            peer, _ = squatter.accept()
            with peer, suppress(OSError):
                peer.sendall(GREETING + b"\x04\x08\x07WELCOME")
                while piece := peer.recv(65536):  # until the client times out
                    received.append(piece)

        thread = threading.Thread(target=squat)
        thread.start()
        key = bytes.fromhex(connection().key)
        with pytest.raises((OSError, ProtocolError)):
            BackendClient(squatter.getsockname()[1], key)
        thread.join()
    overheard = b"".join(received)
    assert plain_password(key, squatter_port_of(overheard, key)).encode() in overheard
    assert key not in overheard and connection().key.encode() not in overheard
    assert b"WELCOME" not in answer_to(overheard[: overheard.index(b"INITIATE") - 3])


def squatter_port_of(overheard: bytes, key: bytes) -> int:
    """Return the port that the overheard password is valid for."""
    return next(port for port in range(1024, 65536) if plain_password(key, port).encode() in overheard)


@pytest.mark.usefixtures("home")
def test_the_backend_listens_only_on_the_loopback() -> None:
    connections = psutil.Process(connection().pid).net_connections("inet")
    listening = {tuple(each.laddr) for each in connections if each.status == psutil.CONN_LISTEN}
    assert listening == {("127.0.0.1", connection().port)}


# ── Exhausting memory and descriptors ────────────────────────────────────────────────────────────


def assert_bounded_during(attack: Callable[[], object]) -> None:
    """Assert that memory and descriptors stay bounded in an attack, and that the backend still works."""
    assert_works()
    before, files = memory(), descriptors()
    most = [before, files]
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            most[:] = max(most[0], memory()), max(most[1], descriptors())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        attack()
        assert_works()
    finally:
        over.set()
        watcher.join()
    assert most[0] - before < MOST_GROWTH_BYTES, f"memory grew by {(most[0] - before) / MEGABYTE:.0f} MB"
    assert most[1] - files < MOST_DESCRIPTORS, f"{most[1] - files} more descriptors"
    eventually(lambda: descriptors() <= files + 2, "the descriptors are closed")


@pytest.mark.usefixtures("home")
def test_thousands_of_silent_connections_cost_little_and_block_no_client() -> None:
    def crowd() -> None:
        with ExitStack() as stack:
            for _ in range(3000):
                with suppress(OSError):
                    stack.enter_context(connect())
            assert_works()

    assert_bounded_during(crowd)


def test_strangers_do_not_fill_the_table_of_a_backend_with_few_open_files(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More strangers than the backend may have open files. It still accepts clients, and writes its file."""
    few = 64
    monkeypatch.setenv("ATELIER_HOME", str(installed_in(tmp_path, models)))
    serve = ["sh", "-c", f'ulimit -n {few}; exec "$0" -m backend', sys.executable]
    with subprocess.Popen(serve, stderr=subprocess.DEVNULL) as server, ExitStack() as strangers:
        strangers.callback(server.kill)
        eventually(lambda: launcher.read_connection() is not None, "the backend runs")
        assert_works()
        for _ in range(3 * few):
            strangers.enter_context(connect())
        began = time.monotonic()
        assert_works()
        assert time.monotonic() - began < HANDSHAKE_MS / 1000, "clients had to wait for strangers"
        (tmp_path / "connection.json").unlink()
        eventually(lambda: launcher.read_connection() is not None, "the connection file is restored")
        assert connection().pid == server.pid


def test_the_limit_of_open_files_is_raised() -> None:
    code = "import resource; from backend.compat import open_files as o; o.raise_limit(); print(o.free())"
    limit = ["sh", "-c", 'ulimit -Sn 100; exec "$0" -c "$1"', sys.executable, code]
    assert int(subprocess.check_output(limit)) > 200


@pytest.mark.usefixtures("home")
def test_a_slow_handshake_is_dropped_after_seconds() -> None:
    def send_slowly() -> None:
        began = time.monotonic()
        with connect() as slow, suppress(ConnectionError):
            for byte in GREETING + hello("0" * 64):
                slow.sendall(bytes([byte]))
                time.sleep(0.1)
        assert time.monotonic() - began < HANDSHAKE_MS / 1000 + 8, "the connection was not dropped"

    assert_bounded_during(send_slowly)


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("size", [PIECE_BYTES, PIECE_BYTES + 1, 2**31 - 1, 2**63 - 1])
def test_an_unauthenticated_long_command_is_not_buffered(size: int) -> None:
    """libzmq reads commands before the password. Many connections each send as much of one as possible."""

    def pour() -> None:
        with ExitStack() as stack:
            connections = [stack.enter_context(connect()) for _ in range(2 * MAX_UNAUTHENTICATED)]
            for peer in connections:
                peer.settimeout(0.2)
                with suppress(OSError):
                    peer.sendall(GREETING + b"\x06" + struct.pack(">Q", size) + bytes(PIECE_BYTES - 1))
            with suppress(OSError):
                for _ in range(200):
                    connections[-1].sendall(bytes(MEGABYTE))

    assert_bounded_during(pour)


@pytest.mark.usefixtures("home")
def test_a_million_unauthenticated_frames_are_not_processed() -> None:
    def pour() -> None:
        with connect() as peer, suppress(OSError):
            peer.sendall(GREETING + hello("0" * 64) + bytes([MORE, 0]) * 1_000_000)

    assert_bounded_during(pour)


@pytest.mark.usefixtures("home")
def test_a_million_frames_of_an_authenticated_client_are_refused() -> None:
    """The client has the password but does not sign."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as insider:
        insider.setsockopt(zmq.LINGER, 0)
        insider.setsockopt(zmq.RCVTIMEO, 200_000)
        insider.setsockopt_string(zmq.PLAIN_USERNAME, "atelier")
        there = connection()
        insider.setsockopt_string(zmq.PLAIN_PASSWORD, plain_password(bytes.fromhex(there.key), there.port))
        insider.connect(f"tcp://127.0.0.1:{there.port}")
        for _ in range(1_000_000):
            insider.send(b"", zmq.SNDMORE)
        insider.send(b"")
        assert b'"refused"' in insider.recv_multipart()[1]
    assert_works()


# ── A hostile server ─────────────────────────────────────────────────────────────────────────────

WELCOME_AND_READY = GREETING + b"\x04\x08\x07WELCOME" + b"\x04\x06\x05READY"


@pytest.mark.parametrize(
    "sent",
    [
        WELCOME_AND_READY + bytes([LONG]) + struct.pack(">Q", 2**31 - 1),
        WELCOME_AND_READY + bytes([MORE, 0]) * 1_000_000,
        WELCOME_AND_READY + (bytes([MORE | LONG]) + struct.pack(">Q", 60_000) + bytes(60_000)) * 50,
        GREETING + bytes([LONG | 4]) + struct.pack(">Q", 2**62),
        GREETING + b"\x04\x08\x07WELCOME" * 1000,
        *(WELCOME_AND_READY + bytes([n]) * 200_000 for n in (0, 1, 4, 255)),
    ],
    ids=["long-frame", "tiny-frames", "long-message", "long-command", "welcomes", "0", "1", "4", "255"],
)
def test_a_hostile_server_is_rejected_and_costs_little_memory(sent: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer, args=(server, sent))
        thread.start()
        before = psutil.Process().memory_info().rss
        with pytest.raises((OSError, ProtocolError)):
            BackendClient(server.getsockname()[1], b"k" * 32)
        assert psutil.Process().memory_info().rss - before < MOST_GROWTH_BYTES
        thread.join()


def test_a_long_message_before_the_proof_is_refused_before_it_is_complete() -> None:
    piece = bytes([MORE | LONG]) + struct.pack(">Q", 40_000) + bytes(40_000)
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer, args=(server, WELCOME_AND_READY + 2 * piece))
        thread.start()
        with pytest.raises(ZmtpError, match="too large a message: at least 2 frames and 80000 bytes"):
            BackendClient(server.getsockname()[1], b"k" * 32)
        thread.join()


def answer(server: socket.socket, sent: bytes) -> None:
    peer, _ = server.accept()
    with peer, suppress(OSError):
        peer.sendall(sent)
        peer.shutdown(socket.SHUT_WR)
        while peer.recv(65536):
            pass


def test_joining_pieces_restores_the_frames_and_rejects_wrong_pieces() -> None:
    frames = [b"", b"x", bytes(PIECE_BYTES - 1), bytes(PIECE_BYTES), bytes(3 * PIECE_BYTES + 1)]
    assert joined(in_pieces(frames)) == frames
    assert all(len(piece) <= PIECE_BYTES for piece in in_pieces(frames))
    for wrong in ([bytes(PIECE_BYTES)], [bytes(PIECE_BYTES + 1), b""]):
        with pytest.raises(ProtocolError):
            joined(wrong)
    assert MAX_GREETING_BYTES < PIECE_BYTES


# ── Overheard messages ───────────────────────────────────────────────────────────────────────────


def test_reflected_replayed_and_foreign_messages_are_refused() -> None:
    """Test the signatures alone; test_server.py tests the same over the wire."""
    key, nonces = b"k" * 32, ("a" * 64, "b" * 64)
    client, backend = Signer(key, *nonces, backend=False), Signer(key, *nonces, backend=True)
    signed = client.sign(pack(Beat()))
    with pytest.raises(ProtocolError):
        client.verify(signed)
    assert backend.verify(signed)
    for receiver in (
        backend,
        Signer(key, "c" * 64, "b" * 64, backend=True),
        Signer(b"x" * 32, *nonces, backend=True),
    ):
        with pytest.raises(ProtocolError):
            receiver.verify(signed)


@pytest.mark.usefixtures("home")
def test_no_other_protocol_version_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    for version in (0, 1, PROTOCOL_VERSION - 1, PROTOCOL_VERSION + 1, -1):
        monkeypatch.setattr("atelier_shared.client.PROTOCOL_VERSION", version)
        with pytest.raises(ProtocolError):
            connection().open()
    monkeypatch.undo()
    assert_works()


# ── Another user of this computer ────────────────────────────────────────────────────────────────

AS_ANOTHER = """
import encodings.idna, json, os, signal, socket, struct, sys  # imported while they can be read
port, pid, file, uid = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(uid); os.setuid(uid)
outcome = {"uid": os.geteuid(), "key": None, "stopped": None, "poured": 0}
try:
    outcome["key"] = open(file).read()
except OSError as error:
    outcome["key"] = type(error).__name__
try:
    os.kill(pid, signal.SIGTERM) if os.geteuid() == uid else None
except OSError as error:
    outcome["stopped"] = type(error).__name__
greeting = bytes.fromhex(sys.argv[5])
peers = []
for _ in range(500):
    try:
        peer = socket.create_connection(("127.0.0.1", port), 1)
        peer.sendall(greeting + b"\\x06" + struct.pack(">Q", 2**31 - 1))
        peers.append(peer)
        peer.settimeout(0.05)
        while True:
            peer.sendall(bytes(1 << 20)); outcome["poured"] += 1
    except OSError:
        pass
print(json.dumps(outcome))
"""


def test_another_user_can_neither_read_the_key_nor_use_up_memory_nor_stop_the_backend(home: Path) -> None:
    """If the tests do not run as root, only the file's mode and the memory are checked."""
    there, file, outcome = connection(), home / "connection.json", {}
    assert file.stat().st_mode & 0o777 == 0o600
    temporary = Path(tempfile.gettempdir()).resolve()
    for folder in file.resolve().parents:  # opened, so that only the file's own mode protects it
        if os.geteuid() == 0 and temporary in folder.parents:
            folder.chmod(folder.stat().st_mode | 0o055)

    def attack() -> None:
        words = [sys.executable, "-S", "-c", AS_ANOTHER, there.port, there.pid, file, NOBODY, GREETING.hex()]
        done = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=400, cwd="/")
        assert done.returncode == 0, done.stderr
        outcome.update(json.loads(done.stdout))

    assert_bounded_during(attack)
    assert psutil.pid_exists(there.pid)
    if os.geteuid() == 0:
        assert (outcome["uid"], outcome["key"], outcome["stopped"]) == (
            NOBODY,
            "PermissionError",
            "PermissionError",
        )


# ── Files ────────────────────────────────────────────────────────────────────────────────────────


def png(width: int, height: int, *chunks: tuple[bytes, bytes]) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IEND", b"")]
    body = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def tiff(width: int, height: int, *entries: tuple[int, int, int, int]) -> bytes:
    fields = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (262, 3, 1, 1), *entries]
    packed = b"".join(struct.pack("<HHII", *field) for field in sorted(fields))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(fields)) + packed + bytes(4)


def jpeg(width: int, height: int) -> bytes:
    frame = struct.pack(">BHHB", 8, height, width, 1) + b"\x01\x11\x00"
    return (
        b"\xff\xd8\xff\xc0"
        + struct.pack(">H", len(frame) + 2)
        + frame
        + b"\xff\xda\0\x08\1\1\0\0\x3f\0\xff\xd9"
    )


@functools.cache
def zeros() -> bytes:
    """Return 200 megabytes of zeros, compressed. It takes half a second, so not at the import."""
    return zlib.compress(bytes(200 * MEGABYTE), 9)


CRAFTED: dict[str, Callable[[], bytes]] = {
    "a bomb of pixels": lambda: png(60_000, 60_000, (b"IDAT", zlib.compress(b"\0"))),
    "a bomb of text": lambda: png(1, 1, (b"zTXt", b"key\0\0" + zeros()), (b"IDAT", zlib.compress(bytes(4)))),
    "a bomb of a profile": lambda: png(1, 1, (b"iCCP", b"p\0\0" + zeros())),
    "sides of 2**31": lambda: png(2**31 - 1, 2**31 - 1),
    "no sides": lambda: png(0, 0, (b"IDAT", b"")),
    "a TIFF as large as it says": lambda: tiff(2**31, 2**31, (273, 4, 1, 8), (279, 4, 1, 2**32 - 1)),
    "a TIFF with endless strips": lambda: tiff(8, 8, (273, 4, 2**30, 8), (279, 4, 2**30, 8)),
    "a TIFF whose tag is everywhere": lambda: tiff(8, 8, (700, 1, 2**32 - 1, 0)),
    "a JPEG as large as it says": lambda: jpeg(65_500, 65_500),
    "a JPEG of nothing": lambda: jpeg(0, 0),
    "a picture in PostScript": lambda: (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
    ),
}


@pytest.mark.parametrize("name", CRAFTED)
def test_a_crafted_style_file_is_refused_and_costs_little_memory(tmp_path: Path, name: str) -> None:
    """Read it in a process limited to 400 MB more than at its start, where a larger allocation fails."""
    (tmp_path / "style.png").write_bytes(CRAFTED[name]())
    done = subprocess.run(
        [sys.executable, "-c", READ_IN_LITTLE_MEMORY, str(tmp_path / "style.png")],
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip().endswith("."), done.stdout


READ_IN_LITTLE_MEMORY = """
import resource, sys, warnings
from pathlib import Path
from backend.command.picture_files import Canvas, PictureFileError
pages = int(Path("/proc/self/statm").read_text().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 400_000_000,) * 2)
warnings.simplefilter("ignore")
try:
    print(Canvas.load(Path(sys.argv[1])).picture, "was read.")
except PictureFileError as error:
    print(error)
"""


@pytest.mark.parametrize("name", ["/etc/passwd", "../../secret", "vgg19/../../x", "a\0b", "", "~/x", "C:\\x"])
def test_a_path_is_not_accepted_as_a_name(name: str) -> None:
    """Names in a request select from fixed lists and never become part of a path."""
    for wrong in ({"network": name}, {"gallery_style": name}, {"method": name}, {"device": name}):
        with pytest.raises(WrongSetting):
            StyleTransfer(**dict[str, Any](wrong))
    for wrong in ({"network": name}, {"objective": name}):
        with pytest.raises(WrongSetting):
            DeepDream(**dict[str, Any](wrong))
    if name:
        with pytest.raises(WrongSetting):
            StyleTransfer(gallery_mix=name)


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("layers", ["/etc/passwd", "../../secret", "__class__", "conv1_1.__init__"])
def test_a_path_is_not_accepted_as_a_layer(layers: str) -> None:
    from atelier_shared.errors import JobFailed

    photo = Picture(64, 64, "RGB", "u8", bytes(3 * 64 * 64))
    request = DeepDream(layers=layers, network="squeezenet", size=64, iterations=1, octaves=1)
    with connection().open() as client, pytest.raises(JobFailed) as failure:
        list(client.messages(client.submit(request, photo, Region(0, 0, 64, 64))))
    assert failure.value.reason == "bad-request"
