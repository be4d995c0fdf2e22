"""What the sandbox raises. Verdicts on programs are results, never exceptions."""


class SandboxError(Exception):
    """Base of all errors of the sandbox."""

    exit_code = 2


class IsolationUnavailable(SandboxError):
    """This host cannot give the isolation that was asked for; the message says what is missing and how to get it."""


class InvalidJob(SandboxError):
    """A job is malformed; the message names the field."""
