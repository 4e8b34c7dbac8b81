"""A client of the backend: shakes hands, submits a job, hears of its progress, ends it early.

The filters in GIMP and the command line are both made with it. It knows the protocol and the
socket, and nothing of GIMP, nor of how a backend comes to run (`backend_process` does).
"""

from __future__ import annotations

import itertools
import math
import secrets
from collections.abc import Iterator, Sequence
from types import TracebackType

from .codec import MAX_FRAMES, MAX_MESSAGE_BYTES, PIECE_BYTES, in_pieces, joined, pack, unpack
from .deferred_translation import N_
from .errors import AtelierError, BackendSilent, JobCancelled, JobFailed, ProtocolError, VersionMismatch
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
    GATE_NAME,
    MAX_GREETING_BYTES,
    NONCE_BYTES,
    Seal,
    backend_proof,
    gate_password,
    is_nonce,
    same_secret,
    unsealed,
)
from .zmtp import Dealer

HANDSHAKE_S = 5.0
SILENCE_S = 30.0
SEND_S = 60.0


class BackendClient:
    """A connection to a running backend; a context manager that closes it."""

    def __init__(self, port: int, key: bytes) -> None:
        """Connect to the backend on a loopback port and make it prove that it knows `key`.

        Raises:
            VersionMismatch: the backend speaks another version of the protocol.
            ProtocolError: what listens there is not the backend.
            OSError: nothing listens there, or it does not answer in time.
        """
        self._jobs = itertools.count(1)
        self._dealer = Dealer(
            "127.0.0.1",
            port,
            GATE_NAME,
            gate_password(key, port),
            timeout_s=HANDSHAKE_S,
            max_frame_bytes=PIECE_BYTES,
            max_message_bytes=MAX_GREETING_BYTES,
            max_frames=MAX_FRAMES + 1 + MAX_MESSAGE_BYTES // PIECE_BYTES,
        )
        try:
            self._seal = self._shake_hands(key)
        except BaseException:
            self._dealer.close()
            raise

    def _shake_hands(self, key: bytes) -> Seal:
        nonce = secrets.token_hex(NONCE_BYTES)
        hello = unsealed(pack(Hello(PROTOCOL_VERSION, nonce)))
        self._dealer.send(in_pieces(hello), timeout_s=HANDSHAKE_S)
        answer = unpack(joined(self._dealer.receive(timeout_s=HANDSHAKE_S))[1:])
        if isinstance(answer, Refused) and answer.version != PROTOCOL_VERSION:
            raise VersionMismatch(_OTHER_VERSION)
        if not (isinstance(answer, Welcome) and is_nonce(answer.nonce) and is_nonce(answer.proof)):
            raise ProtocolError(_STRANGER)
        if not same_secret(answer.proof, backend_proof(key, nonce, answer.nonce)):
            raise ProtocolError(_STRANGER)
        self._dealer.max_message_bytes = MAX_MESSAGE_BYTES
        return Seal(key, nonce, answer.nonce, backend=False)

    def __enter__(self) -> BackendClient:
        """The client itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection; the backend drops the jobs that still run for it."""
        self.close()

    def close(self) -> None:
        """Close the connection; the backend drops the jobs that still run for it."""
        self._dealer.close()

    def submit(
        self, request: Request, content: Picture, region: Region, styles: Sequence[Picture] = ()
    ) -> int:
        """Ask for `region` of `content` made anew, and return the number of the job.

        Raises:
            BackendSilent: the backend is gone or does not take the pictures.
        """
        job = next(self._jobs)
        self.send(Submit(job, request, content, region, tuple(styles)))
        return job

    def cancel(self, job: int) -> None:
        """Ask the backend to drop a job; `messages` ends with JobCancelled when it has."""
        self.send(Cancel(job))

    def finish_early(self, job: int) -> None:
        """Ask the backend to finish early; `messages` ends with a Result made of the picture so far.

        A job that still waits for its turn is dropped, as by `cancel`.
        """
        self.send(FinishEarly(job))

    def stop_backend(self) -> None:
        """Ask the backend to end itself."""
        self.send(Stop())

    def wait_until_gone(self) -> None:
        """Return once the backend has closed the connection; raises BackendSilent if it does not."""
        while True:
            try:
                self._dealer.receive(timeout_s=SILENCE_S)
            except TimeoutError as error:
                raise silence() from error
            except OSError:
                return

    def messages(self, job: int) -> Iterator[Queued | Progress | Result]:
        """What the backend has to say of a job, up to its Result.

        Raises:
            JobFailed: there will be no picture; the text says why.
            JobCancelled: it was cancelled.
            BackendSilent: the backend is gone, or has said nothing for half a minute.
            ProtocolError: the backend refused a message, or sent one that is not allowed.
        """
        while True:
            message = self._receive()
            if getattr(message, "job", job) != job:
                continue
            said = meaning(message)
            if isinstance(said, AtelierError):
                raise said
            if said is not None:
                yield said
            if isinstance(said, Result):
                return

    def send(self, message: Message) -> None:
        """Sign a message and send it.

        Raises:
            BackendSilent: the backend is gone or does not take it.
        """
        try:
            self._dealer.send(in_pieces(self._seal.close(pack(message))), timeout_s=SEND_S)
        except OSError as error:
            raise BackendSilent(_GONE) from error

    def _receive(self) -> Message:
        """The next message; silence is counted in turns of a second, one where the machine stood still."""
        for _ in range(math.ceil(SILENCE_S)):
            try:
                return self.opened(self._dealer.receive(timeout_s=1.0))
            except TimeoutError:
                continue
            except OSError as error:
                raise BackendSilent(_GONE) from error
        raise silence()

    # ── For an event loop ────────────────────────────────────────────────────────────────────────

    def fileno(self) -> int:
        """The socket's descriptor, for an event loop to watch."""
        return self._dealer.fileno()

    def read(self) -> Sequence[Frame] | None:
        """Read once what is there, 1 MB at most: a signed message, or None where none is whole yet.

        Raises:
            BackendSilent: the backend is gone.
        """
        try:
            return self._dealer.receive(timeout_s=0)
        except TimeoutError:
            return None
        except OSError as error:
            raise BackendSilent(_GONE) from error

    def opened(self, sealed: Sequence[Frame]) -> Message:
        """What a signed message says; in the order in which they came. Raises ProtocolError."""
        return unpack(self._seal.open(joined(sealed)))


def meaning(message: Message) -> Queued | Progress | Result | AtelierError | None:
    """What a message says of its job, or of all of them where it names none; None where that is nothing.

    A Result or an error is the last thing that is said of a job.
    """
    match message:
        case Queued() | Progress() | Result():
            return message
        case Failed():
            return JobFailed(message.reason, message.sentence)
        case Cancelled():
            return JobCancelled("The job was cancelled.")
        case Refused():
            return ProtocolError(message.sentence)
    return None


def silence() -> BackendSilent:
    """The error of a backend that has said nothing for SILENCE_S seconds."""
    return BackendSilent(_SILENT, seconds=round(SILENCE_S))


_STRANGER = "Something other than Atelier's backend listens on its port."
_OTHER_VERSION = N_(
    "The plug-in and the backend that runs are of different versions of Atelier: "
    "run 'python3 install.py' again, then restart GIMP."
)
_GONE = N_(
    "Atelier's backend ended before the picture was done; run the filter again, it will be started anew."
)
_SILENT = N_(
    "Atelier's backend has said nothing for {seconds} seconds; "
    "end it with 'atelier stop' and run the filter again."
)
