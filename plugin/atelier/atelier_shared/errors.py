"""Errors that reach a person: each one is a sentence that says what happened and what to do.

AtelierError
 ├─ ProtocolError           the other side broke the rules of the protocol
 │   └─ VersionMismatch     … by speaking another version of it
 ├─ BackendUnavailable      no backend runs, and none could be started
 ├─ BackendSilent           a backend stopped answering
 ├─ JobCancelled            the user cancelled the job
 └─ JobFailed               the backend's reason why there is no picture
"""

from __future__ import annotations


class AtelierError(Exception):
    """Something went wrong that a person can be told in one sentence.

    Its text is `template` with `values` put in; who shows it may put them into a translation.
    """

    def __init__(self, template: str, **values: object) -> None:
        super().__init__(template.format(**values) if values else template)
        self.template, self.values = template, values


class ProtocolError(AtelierError):
    """The other side sent something that the protocol does not allow."""


class VersionMismatch(ProtocolError):
    """The other side speaks another version of the protocol."""


class BackendUnavailable(AtelierError):
    """There is no backend to talk to, and none could be started."""


class BackendSilent(AtelierError):
    """The backend has stopped answering."""


class JobCancelled(AtelierError):
    """The job was cancelled."""


class JobFailed(AtelierError):
    """The backend could not make the picture; `reason` is a word for programs."""

    def __init__(self, reason: str, sentence: str) -> None:
        """Keep the word for programs beside the sentence for people."""
        super().__init__(sentence)
        self.reason = reason
