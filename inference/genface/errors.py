"""Errors that a person can mend: shown at the command line as one line, exit code 2, no traceback."""


class UserError(ValueError):
    """What the user gave cannot be used; the message names the thing and the way out."""


class BrokenImageError(UserError):
    """A picture that cannot be decoded; `name` is its path inside its source, `reason` says what is wrong."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason
