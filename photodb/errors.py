"""The errors that photodb raises on purpose; each tells the value, the limit and what to do next.

`exit_code` is what the command line ends with (README, "Exit codes").
"""


class PhotodbError(Exception):
    """Base of all errors that photodb raises on purpose."""

    exit_code = 3


class UsageError(PhotodbError):
    """A command or call was given something that it cannot take."""

    exit_code = 2


class ConfigurationError(PhotodbError):
    """No archive, a bad settings file, or a bad instrument description."""


class StorageError(PhotodbError):
    """The database cannot be reached, started or written."""


class NetworkError(PhotodbError):
    """A service on the network cannot be reached, or does not answer as it should."""


class SchemaError(PhotodbError):
    """The archive's schema is not the one that this version of photodb writes."""

    exit_code = 4


class NothingMatched(PhotodbError):
    """The question was understood and nothing in the archive answers it."""

    exit_code = 5


class FrameError(PhotodbError):
    """A frame that cannot be used; it is stored as rejected with this reason.

    Attributes
    ----------
    code : str
        Short machine-readable reason, for example ``unreadable`` or ``no_time``.
    """

    exit_code = 1

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.code, str(self))


class UnknownCamera(FrameError):
    """The header neither names a known camera nor suffices to describe a new one."""

    def __init__(self, message: str, code: str = "unknown_camera") -> None:
        super().__init__(code, message)

    def __reduce__(self) -> tuple[type, tuple[str]]:  # type: ignore[override]
        return type(self), (str(self),)


class SolveError(PhotodbError):
    """The measurements cannot support the solution that was asked for."""

    exit_code = 5


class MasterError(PhotodbError):
    """Calibration frames that make no master; it is stored as rejected with this reason."""

    exit_code = 1
