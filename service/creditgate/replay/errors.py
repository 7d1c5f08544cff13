"""What keeps a replay from starting."""

from creditgate.csv_rows.errors import FileError


class ReplayError(FileError):
    """An option of the play is wrong, or its file can't be played. The text says what, and how to put it right."""
