"""The standard-library DEALER against libzmq's ROUTER, and against misbehaving peers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
import zmq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from zmq.auth.thread import ThreadAuthenticator

from atelier_shared.zmtp import GREETING, Dealer, ZmtpError

PLAIN = ("somebody", "their password")
READY = b"\x04\x29\x05READY\x0bSocket-Type\x00\x00\x00\x06ROUTER\x08Identity\x00\x00\x00\x00"


@pytest.fixture(scope="module")
def router() -> Iterator[zmq.Socket[bytes]]:
    with router_with_a_password() as router:
        yield router


@contextmanager
def router_with_a_password() -> Iterator[zmq.Socket[bytes]]:
    """Run libzmq's ROUTER with the password PLAIN, on the port given by `port_of`."""
    with zmq.Context() as context:
        authenticator = ThreadAuthenticator(context)
        authenticator.start()
        authenticator.configure_plain(passwords=dict([PLAIN]))
        with context.socket(zmq.ROUTER) as router:
            router.setsockopt(zmq.PLAIN_SERVER, 1)
            router.setsockopt(zmq.RCVTIMEO, 20_000)
            router.setsockopt(zmq.LINGER, 0)
            router.bind("tcp://127.0.0.1:*")
            yield router
        authenticator.stop()


def port_of(router: zmq.Socket[bytes]) -> int:
    return int(router.getsockopt_string(zmq.LAST_ENDPOINT).rsplit(":", 1)[1])


@pytest.fixture(scope="module")
def dealer(router: zmq.Socket[bytes]) -> Iterator[Dealer]:
    dealer = Dealer("127.0.0.1", port_of(router), *PLAIN, timeout_s=20)
    yield dealer
    dealer.close()


sizes = st.one_of(st.integers(0, 300), st.sampled_from([255, 256, 65_535, 65_536]), st.integers(0, 3_000_000))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(sizes, min_size=1, max_size=20), st.randoms(use_true_random=False))
def test_messages_of_any_shape_make_a_round_trip(
    router: zmq.Socket[bytes], dealer: Dealer, shape: list[int], random: object
) -> None:
    frames = [bytes([i & 255, size & 255]) * (size // 2) + b"x" * (size % 2) for i, size in enumerate(shape)]
    dealer.send(frames, timeout_s=20)
    received = router.recv_multipart()
    assert received[1:] == frames
    router.send_multipart(received)
    assert dealer.receive(timeout_s=20) == frames


@pytest.mark.slow
def test_a_frame_of_two_gibibytes_makes_a_round_trip(router: zmq.Socket[bytes], dealer: Dealer) -> None:
    frame = bytearray(2**31)
    frame[0], frame[-1] = 1, 2
    threading.Thread(target=dealer.send, args=([frame],), kwargs={"timeout_s": 200}).start()
    router.setsockopt(zmq.RCVTIMEO, 200_000)
    identity, received = router.recv_multipart(copy=False)
    del frame
    router.send_multipart([identity, received], copy=False)
    del received
    (echo,) = dealer.receive(timeout_s=200)
    assert (len(echo), echo[0], echo[-1]) == (2**31, 1, 2)


def test_a_time_out_keeps_the_data_received_so_far() -> None:
    waited = threading.Event()

    def dribble(peer: socket.socket) -> None:
        peer.sendall(GREETING + READY + b"\x01\x03on")
        waited.wait(20)
        peer.sendall(b"e\x00\x03two")

    with peer_that(dribble) as port:
        dealer = Dealer("127.0.0.1", port, *PLAIN, timeout_s=20)
        with pytest.raises(TimeoutError):
            dealer.receive(timeout_s=0.1)
        with pytest.raises(TimeoutError):
            dealer.receive(timeout_s=0)
        waited.set()
        assert dealer.receive(timeout_s=20) == [b"one", b"two"]
        dealer.close()


def test_a_ping_is_answered_with_its_own_context() -> None:
    answers: list[bytes] = []

    def ping(peer: socket.socket) -> None:
        peer.sendall(GREETING + READY)
        skip_handshake(peer)
        peer.sendall(b"\x04\x0b\x04PING\x00\x64abcd")
        answers.append(exactly(peer, 11))
        peer.sendall(b"\x00\x02ok")

    with peer_that(ping) as port:
        dealer = Dealer("127.0.0.1", port, *PLAIN, timeout_s=20)
        assert dealer.receive(timeout_s=20) == [b"ok"]
        dealer.close()
    assert answers == [b"\x04\x09\x04PONGabcd"]


def test_libzmq_keeps_the_connection_of_a_dealer_answering_pings() -> None:
    """Test for longer than libzmq's heartbeat time-out, itself longer than a stall of a busy computer."""
    with router_with_a_password() as router:
        router.unbind(router.getsockopt_string(zmq.LAST_ENDPOINT))
        router.setsockopt(zmq.HEARTBEAT_IVL, 100)
        router.setsockopt(zmq.HEARTBEAT_TIMEOUT, 4000)
        router.bind("tcp://127.0.0.1:*")
        dealer = Dealer("127.0.0.1", port_of(router), *PLAIN, timeout_s=20)
        for _ in range(45):
            with pytest.raises(TimeoutError):
                dealer.receive(timeout_s=0.1)
        dealer.send([b"still here"], timeout_s=20)
        assert router.recv_multipart()[1] == b"still here"
        dealer.close()


def test_one_thread_sends_while_another_one_receives() -> None:
    """The two have separate time-outs."""
    done = threading.Event()

    def slow(peer: socket.socket) -> None:
        peer.sendall(GREETING + READY)
        skip_handshake(peer)
        done.wait(20)
        for _ in range(4):
            exactly(peer, 5_000_000)

    with peer_that(slow) as port:
        dealer = Dealer("127.0.0.1", port, *PLAIN, timeout_s=20)
        sender = threading.Thread(target=lambda: dealer.send([bytes(20_000_000)], timeout_s=20))
        sender.start()
        for _ in range(1000):
            with pytest.raises(TimeoutError):
                dealer.receive(timeout_s=0)
        assert sender.is_alive()
        done.set()
        sender.join(20)
        assert dealer.fileno() != -1 and not sender.is_alive()
        dealer.close()


def test_sending_to_a_peer_that_does_not_read_times_out() -> None:
    done = threading.Event()

    def never_read(peer: socket.socket) -> None:
        peer.sendall(GREETING + READY)
        done.wait(20)

    with peer_that(never_read) as port:
        dealer = Dealer("127.0.0.1", port, *PLAIN, timeout_s=20)
        with pytest.raises(TimeoutError):
            dealer.send([bytes(50_000_000)], timeout_s=0.3)
        with pytest.raises(OSError):
            dealer.send([b"more"], timeout_s=20)
        with pytest.raises(ZmtpError):
            dealer.receive(timeout_s=20)
        dealer.close()
        done.set()


def test_an_endless_stream_times_out() -> None:
    def send_forever(peer: socket.socket) -> None:
        peer.sendall(GREETING + READY)
        while True:
            peer.sendall(b"\x04\x08\x07UNKNOWN" * 1000)

    with peer_that(send_forever) as port:
        dealer = Dealer("127.0.0.1", port, *PLAIN, timeout_s=20)
        with pytest.raises(TimeoutError):
            dealer.receive(timeout_s=0.3)
        dealer.close()


def test_a_silent_peer_times_out() -> None:
    done = threading.Event()
    with peer_that(lambda _: bool(done.wait(20))) as port:
        with pytest.raises(TimeoutError):
            Dealer("127.0.0.1", port, *PLAIN, timeout_s=0.3)
        done.set()


def test_a_wrong_password_is_named_in_the_error(router: zmq.Socket[bytes]) -> None:
    with pytest.raises(ZmtpError, match=r"refused the connection or its password: .*400"):
        Dealer("127.0.0.1", port_of(router), PLAIN[0], "another password", timeout_s=20)


def test_a_closed_port_raises_an_error() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(OSError):
            Dealer("127.0.0.1", unused.getsockname()[1], *PLAIN, timeout_s=1)


@pytest.mark.parametrize(
    "bytes_sent",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n" + b" " * 64,
        GREETING.replace(b"PLAIN", b"NULL\0"),
        GREETING.replace(b"\x03\x01", b"\x01\x00"),
        GREETING + b"\x04\x0a\x05ERROR\x03no!",
        GREETING + b"\x04\x08\x07UNKNOWN",
        GREETING + b"\x00\x02hi",
        GREETING,
    ],
    ids=["http", "other-mechanism", "old-version", "error", "unknown", "message-before-ready", "hangs-up"],
)
def test_a_peer_with_another_protocol_is_refused(bytes_sent: bytes) -> None:
    with peer_that(lambda peer: peer.sendall(bytes_sent)) as port, pytest.raises(ZmtpError):
        Dealer("127.0.0.1", port, *PLAIN, timeout_s=20)


def test_a_message_before_the_handshake_is_refused() -> None:
    sent = GREETING + b"\x00\x02hi" + READY
    with (
        peer_that(lambda peer: peer.sendall(sent)) as port,
        pytest.raises(ZmtpError, match="before the end of the handshake"),
    ):
        Dealer("127.0.0.1", port, *PLAIN, timeout_s=20)


@pytest.mark.parametrize(
    "frames",
    [
        b"\x02" + (2**63).to_bytes(8, "big"),
        b"\x00\xff" + bytes(255),
        b"\x01\x64" + bytes(100) + b"\x01\x64" + bytes(100),
        b"\x01\x00" * 5,
        b"",
    ],
    ids=["huge-frame", "large-frame", "large-message", "many-frames", "hangs-up"],
)
def test_messages_over_the_limits_are_refused_before_buffering(frames: bytes) -> None:
    with peer_that(lambda peer: peer.sendall(GREETING + READY + frames)) as port:
        dealer = Dealer(
            "127.0.0.1", port, *PLAIN, timeout_s=20, max_frame_bytes=200, max_message_bytes=150, max_frames=4
        )
        with pytest.raises(ZmtpError):
            dealer.receive(timeout_s=20)
        dealer.close()


@contextmanager
def peer_that(behaves: Callable[[socket.socket], object]) -> Iterator[int]:
    """Run a TCP server for one connection and yield its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            peer, _ = listener.accept()
            with peer, suppress(OSError):  # the dealer under test may close the connection first
                behaves(peer)
                peer.shutdown(socket.SHUT_WR)
                while peer.recv(1 << 20):
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(20)
        assert not thread.is_alive()


def skip_handshake(peer: socket.socket) -> None:
    exactly(peer, 64)
    exactly(peer, exactly(peer, 2)[1])


def exactly(peer: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = peer.recv(count - len(data))
        if not piece:
            raise ConnectionError("the dealer closed the connection")
        data += piece
    return data
