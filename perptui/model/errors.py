"""One error tree, split by what the caller should do.

::

    PerptuiError
    ├── ConfigError            the desk's settings are wrong: mend the named key
    ├── InputError             an argument or input file is wrong: mend it and call again
    ├── HistoryError           market history is missing, short or malformed
    ├── EstimationError        an estimator refuses its input (short, constant, not finite)
    ├── OptimizationError      the program cannot be posed or its answer cannot be trusted
    │   └── ProblemInfeasible  the limits contradict each other
    ├── VenueError             a venue said no, or said something unusable
    │   ├── BadResponse        the payload is not what the endpoint promises: trust nothing of it
    │   ├── VenueUnavailable   no usable answer: try again later
    │   ├── RateLimited        wait until ``until_ms``
    │   ├── ClockSkew          resynchronise before anything is signed
    │   ├── VenueRejected      a definite no, with the venue's code
    │   └── OrderStateUnknown  the order may or may not exist: reconcile, never resend
    ├── JournalError           the record of events cannot be read or written: send nothing
    ├── ConfirmationRefused    a confirmation does not stand: nothing was sent
    ├── GateRefused            a check before sending failed: nothing was sent
    ├── ProtocolError          a frame between terminal and desk is malformed
    └── WorkerError            the quant process failed a job: ask again

Every message reads "expected X, was Y; do Z".
"""


class PerptuiError(Exception):
    """Root of all errors that perptui raises on purpose."""


class ConfigError(PerptuiError):
    """The settings are wrong; the message names the key and the cure."""


class InputError(PerptuiError):
    """An argument or an input file is wrong; the message names the cure."""


class HistoryError(PerptuiError):
    """Market history is missing, too short or malformed."""


class EstimationError(PerptuiError):
    """An estimator refuses its input rather than print a plausible number."""


class OptimizationError(PerptuiError):
    """The program cannot be posed, or its answer failed its checks."""


class ProblemInfeasible(OptimizationError):
    """The limits contradict each other: no book satisfies all of them."""


class VenueError(PerptuiError):
    """A venue refused or failed; ``code`` is the venue's own, the text is redacted."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class BadResponse(VenueError):
    """A payload that is not an error of the venue and not a usable answer either."""


class VenueUnavailable(VenueError):
    """No usable answer within the time allowed."""


class RateLimited(VenueError):
    """The venue asks for silence until ``until_ms`` (venue time; None when it did not say)."""

    def __init__(self, message: str, code: str = "", until_ms: int | None = None) -> None:
        super().__init__(message, code)
        self.until_ms = until_ms


class ClockSkew(VenueError):
    """The venue refused a timestamp: resynchronise before signing anything."""


class VenueRejected(VenueError):
    """A definite no: the request had no effect at the venue."""


class OrderStateUnknown(VenueError):
    """The order may or may not exist at the venue: reconcile, never resend."""


class JournalError(PerptuiError):
    """The journal cannot be read or written as it must: nothing may be sent."""


class ConfirmationRefused(PerptuiError):
    """A confirmation does not stand; ``reason`` is a stable code, nothing was sent."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class GateRefused(PerptuiError):
    """A check before sending failed; ``reason`` is a stable code, nothing was sent."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class ProtocolError(PerptuiError):
    """A frame between two of our processes is malformed or of another version."""


class WorkerError(PerptuiError):
    """The quant process crashed, timed out or refused a job."""
