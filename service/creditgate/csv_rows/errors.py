"""What keeps a file from being read."""


class FileError(Exception):
    """The file, or an option that says how to read it, is wrong. The text says what, and how to put it right."""
