"""What keeps a replay from starting."""


class ReplayError(Exception):
    """The file or an option is wrong. The text says what, and how to put it right."""
