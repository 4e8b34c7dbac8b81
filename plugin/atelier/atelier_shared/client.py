"""A client of the backend, for the plug-in and the command line. `launcher` starts the backend."""

from __future__ import annotations

import functools
import itertools
import math
import secrets
from collections.abc import Iterator, Sequence
from types import TracebackType

from .codec import MAX_FRAMES, MAX_MESSAGE_BYTES, PIECE_BYTES, in_pieces, joined, pack, unpack
from .deferred_translation import N_
from .errors import AtelierError, BackendSilent, JobCancelled, JobFailed, ProtocolError, VersionMismatch
from .home import install_command
from .messages import (
    PROTOCOL_VERSION,
    Cancel,
    Cancelled,
    Failed,
    FinishEarly,
    Frame,
    Hello,
    Message,
    Picture,
    PreviousFrame,
    Progress,
    Queued,
    Refused,
    Region,
    Result,
    Stop,
    Submit,
    Welcome,
)
from .request import Request
from .signing import (
    MAX_GREETING_BYTES,
    NONCE_BYTES,
    PLAIN_USERNAME,
    Signer,
    backend_proof,
    is_nonce,
    plain_password,
    same_secret,
    unsigned,
)
from .zmtp import Dealer

HANDSHAKE_S = 5.0
PROBE_S = 1.0
"""Time for a backend to prove that it is still alive after a connection was lost."""
SILENCE_S = 30.0
SEND_S = 60.0


class BackendClient:
    """A connection to a running backend. A context manager that closes it."""

    def __init__(
        self,
        port: int,
        key: bytes,
        *,
        backend_port: int | None = None,
        machine: str = "",
        timeout_s: float = HANDSHAKE_S,
    ) -> None:
        """Connect to the backend on a loopback port and check its proof of knowing `key`.

        Behind a tunnel, `backend_port` is the backend's own port and `machine` the name of its computer.

        Raises:
            VersionMismatch: the backend uses another version of the protocol.
            ProtocolError: another program listens on the port.
            OSError: the port is closed, or the backend does not answer in time.
        """
        self._connect_again = functools.partial(
            BackendClient, port, key, backend_port=backend_port, machine=machine, timeout_s=PROBE_S
        )
        self.machine = machine
        self._jobs = itertools.count(1)
        self._dealer = Dealer(
            "127.0.0.1",
            port,
            PLAIN_USERNAME,
            plain_password(key, backend_port or port),
            timeout_s=timeout_s,
            max_frame_bytes=PIECE_BYTES,
            max_message_bytes=MAX_GREETING_BYTES,
            max_frames=MAX_FRAMES + 1 + MAX_MESSAGE_BYTES // PIECE_BYTES,
        )
        try:
            self._signer = self._shake_hands(key, timeout_s)
        except BaseException:
            self._dealer.close()
            raise

    def _shake_hands(self, key: bytes, timeout_s: float) -> Signer:
        nonce = secrets.token_hex(NONCE_BYTES)
        hello = unsigned(pack(Hello(PROTOCOL_VERSION, nonce)))
        self._dealer.send(in_pieces(hello), timeout_s=timeout_s)
        answer = unpack(joined(self._dealer.receive(timeout_s=timeout_s))[1:])
        if isinstance(answer, Refused) and answer.version != PROTOCOL_VERSION:
            raise VersionMismatch(_VERSIONS_DIFFER, install=install_command())
        if not (isinstance(answer, Welcome) and is_nonce(answer.nonce) and is_nonce(answer.proof)):
            raise ProtocolError(_NOT_THE_BACKEND)
        if not same_secret(answer.proof, backend_proof(key, nonce, answer.nonce)):
            raise ProtocolError(_NOT_THE_BACKEND)
        self._dealer.max_message_bytes = MAX_MESSAGE_BYTES
        return Signer(key, nonce, answer.nonce, backend=False)

    def __enter__(self) -> BackendClient:
        """Return the client itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection. The backend then drops its jobs."""
        self.close()

    def close(self) -> None:
        """Close the connection. The backend then drops its jobs."""
        self._dealer.close()

    def submit(
        self,
        request: Request,
        content: Picture,
        region: Region,
        styles: Sequence[Picture] = (),
        *,
        is_preview: bool = False,
        previous: PreviousFrame | None = None,
    ) -> int:
        """Submit `region` of `content` and return the number of the job; a preview waits for no other job.

        `previous`: the frame of an animation before this one, whose result this one is to follow.

        Raises:
            BackendSilent: the backend is gone or does not read the pictures.
        """
        job = next(self._jobs)
        self.send(Submit(job, request, content, region, tuple(styles), is_preview, previous))
        return job

    def cancel(self, job: int) -> None:
        """Ask the backend to drop a job. `messages` then raises JobCancelled."""
        self.send(Cancel(job))

    def finish_early(self, job: int) -> None:
        """Ask the backend to finish a job early. `messages` ends with a Result made from the picture so far.

        A waiting job is dropped, as by `cancel`.
        """
        self.send(FinishEarly(job))

    def stop_backend(self) -> None:
        """Ask the backend to exit."""
        self.send(Stop())

    def wait_until_gone(self) -> None:
        """Wait until the backend has closed the connection. Raises BackendSilent if it does not."""
        while True:
            try:
                self._dealer.receive(timeout_s=SILENCE_S)
            except TimeoutError as error:
                raise silence_error() from error
            except OSError:
                return

    def messages(self, job: int) -> Iterator[Queued | Progress | Result]:
        """Yield the messages about a job, up to its Result.

        Raises:
            JobFailed: the job failed; the text is the reason.
            JobCancelled: the job was cancelled.
            BackendSilent: the backend is gone, or has sent nothing for SILENCE_S seconds.
            ProtocolError: the backend refused a message or violated the protocol.
        """
        while True:
            message = self.receive()
            if getattr(message, "job", job) != job:
                continue
            event = job_event(message)
            if isinstance(event, AtelierError):
                raise event
            if event is not None:
                yield event
            if isinstance(event, Result):
                return

    def send(self, message: Message) -> None:
        """Sign a message and send it.

        Raises:
            BackendSilent: the backend is gone or does not read it.
        """
        try:
            self._dealer.send(in_pieces(self._signer.sign(pack(message))), timeout_s=SEND_S)
        except OSError as error:
            raise self._lost_error() from error

    def receive(self) -> Message:
        """Wait for the next message, about any job or none.

        One-second time-outs are counted instead of elapsed time: a suspended computer costs only one.

        Raises:
            BackendSilent: the backend is gone, or has sent nothing for SILENCE_S seconds.
        """
        for _ in range(math.ceil(SILENCE_S)):
            try:
                return self.decode(self._dealer.receive(timeout_s=1.0))
            except TimeoutError:
                continue
            except OSError as error:
                raise self._lost_error() from error
        raise silence_error()

    def _lost_error(self) -> BackendSilent:
        """Create the error for a lost connection: a live backend drops one when it has too little memory."""
        try:
            self._connect_again().close()
        except (OSError, ProtocolError):
            return BackendSilent(_LOST, machine=self.machine) if self.machine else BackendSilent(_GONE)
        return BackendSilent(_DROPPED)

    # ── For an event loop ────────────────────────────────────────────────────────────────────────

    def fileno(self) -> int:
        """Return the socket's file descriptor, for an event loop."""
        return self._dealer.fileno()

    def read(self) -> Sequence[Frame] | None:
        """Read once, at most 1 MB. Return a signed message once it is complete, otherwise None.

        Raises:
            BackendSilent: the backend is gone.
        """
        try:
            return self._dealer.receive(timeout_s=0)
        except TimeoutError:
            return None
        except OSError as error:
            raise self._lost_error() from error

    def decode(self, signed: Sequence[Frame]) -> Message:
        """Verify and parse a signed message; call in the order of arrival. Raises ProtocolError."""
        return unpack(self._signer.verify(joined(signed)))


def job_event(message: Message) -> Queued | Progress | Result | AtelierError | None:
    """Convert a message to its job's event; one without a job number concerns all jobs.

    A Result or an error ends the job. Other messages, like beats, give None.
    """
    match message:
        case Queued() | Progress() | Result():
            return message
        case Failed():
            return JobFailed(message.reason, message.template, **message.values)
        case Cancelled():
            return JobCancelled("The job was cancelled.")
        case Refused():
            return ProtocolError(message.sentence)
    return None


def silence_error() -> BackendSilent:
    """Create the error for SILENCE_S seconds without a message."""
    return BackendSilent(_SILENT, seconds=round(SILENCE_S))


_NOT_THE_BACKEND = "Another program listens on the port of Atelier's backend."
_VERSIONS_DIFFER = N_(
    "The plug-in and the running backend belong to different versions of Atelier. "
    "Run '{install}' again, then restart GIMP."
)
_GONE = N_(
    "Atelier's backend stopped before the picture was finished. "
    "Run the filter again; this restarts the backend."
)
_LOST = N_(
    "The connection to {machine} was lost before the picture was finished. "
    "Run the filter again; Atelier connects again by itself."
)
_DROPPED = N_(
    "Atelier's backend dropped the connection, most likely because memory ran out. "
    "Close other programs or choose a smaller layer, then try again."
)
_SILENT = N_(
    "Atelier's backend has not responded for {seconds} seconds. "
    "Stop it with 'atelier stop', then run the filter again."
)
