"""Errors shown to the user: each one is a sentence with the problem and the remedy.

AtelierError
 ├─ ProtocolError           the other side violated the protocol
 │   └─ VersionMismatch     … because it uses another version of it
 ├─ BackendUnavailable      no backend is running, and none could be started
 │   └─ BackendMissing      … because it is not installed
 ├─ BackendSilent           a backend stopped answering
 ├─ JobCancelled            the user cancelled the job
 └─ JobFailed               the backend could not make the picture
"""

from __future__ import annotations

from collections.abc import Callable


class AtelierError(Exception):
    """An error with a sentence for the user: `template.format(**values)`."""

    def __init__(self, template: str, /, **values: object) -> None:
        super().__init__(template.format(**values) if values else template)
        self.template, self.values = template, values


class ProtocolError(AtelierError):
    """A violation of the protocol by the other side."""


class VersionMismatch(ProtocolError):
    """Another version of the protocol on the other side."""


class BackendUnavailable(AtelierError):
    """No running backend, and none could be started."""


class BackendMissing(BackendUnavailable):
    """No installed backend."""


class BackendSilent(AtelierError):
    """The silence of a connected backend."""


class JobCancelled(AtelierError):
    """The cancellation of a job."""


class JobFailed(AtelierError):
    """A job without a picture; `reason` is a code for programs."""

    def __init__(self, reason: str, template: str, /, **values: object) -> None:
        """Store a reason code for programs and the parts of a sentence for the user."""
        super().__init__(template, **values)
        self.reason = reason


class Wrong(ValueError):
    """An unsuitable value, with a sentence for the user like an AtelierError's."""

    def __init__(self, template: str, /, **values: object) -> None:
        super().__init__(template.format(**values) if values else template)
        self.template, self.values = template, values


def translated(error: AtelierError | Wrong, translate: Callable[[str], str], /, **values: object) -> str:
    """Return an error's sentence and those of the errors nested in it, translated by `translate`.

    `values` replace the error's own.
    """
    template, filled_in = translate(error.template), error.values | values
    texts = {
        name: translated(value, translate) if isinstance(value, Wrong) else value
        for name, value in filled_in.items()
    }
    return template.format(**texts) if texts else template
