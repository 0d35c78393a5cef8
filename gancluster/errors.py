"""The one family of errors that are the user's to mend: the command line prints them in one line and exits with 2."""


class UserError(Exception):
    """Something asked for cannot be done; the message says what is wrong and what to do, in one line."""


class UnknownName(UserError):
    """A method, data set, critic, preset or option that does not exist."""


class DataError(UserError):
    """A data set that is missing, unreadable, or unfit for what was asked of it."""


class DataMissing(DataError):
    """A data set that exists but is not here; the message says how to get it."""


class RunError(UserError):
    """A run folder that is missing, damaged, of another version, or that cannot be written."""


class Diverged(Exception):
    """A loss or a weight became NaN or infinite: the run ends as FAILED and its last good checkpoint stays.

    Not a `UserError`: nothing was asked wrongly, and the run folder keeps the diagnosis.
    """

    def __init__(self, what: str, step: int, seed: int) -> None:
        super().__init__(f"{what} became non-finite at step {step} (seed {seed})")


class Interrupted(Exception):
    """Somebody asked the training to stop (Ctrl-C, or SIGTERM); everything played so far is saved."""
