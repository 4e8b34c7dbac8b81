"""Errors shown to the user: each one is a sentence with the problem and the remedy.

AtelierError
 ├─ ProtocolError           the other side violated the protocol
 │   └─ VersionMismatch     … because it uses another version of it
 ├─ BackendUnavailable      no backend is running, and none could be started
 ├─ BackendSilent           a backend stopped answering
 ├─ JobCancelled            the user cancelled the job
 └─ JobFailed               the backend could not make the picture
"""

from __future__ import annotations


class AtelierError(Exception):
    """An error with a sentence for the user.

    The sentence is `template.format(**values)`. The plug-in formats a translation of `template` instead.
    """

    def __init__(self, template: str, **values: object) -> None:
        super().__init__(template.format(**values) if values else template)
        self.template, self.values = template, values


class ProtocolError(AtelierError):
    """A violation of the protocol by the other side."""


class VersionMismatch(ProtocolError):
    """Another version of the protocol on the other side."""


class BackendUnavailable(AtelierError):
    """No running backend, and none could be started."""


class BackendSilent(AtelierError):
    """The silence of a connected backend."""


class JobCancelled(AtelierError):
    """The cancellation of a job."""


class JobFailed(AtelierError):
    """A job without a picture; `reason` is a code for programs."""

    def __init__(self, reason: str, sentence: str) -> None:
        """Store a reason code for programs and a sentence for the user."""
        super().__init__(sentence)
        self.reason = reason
