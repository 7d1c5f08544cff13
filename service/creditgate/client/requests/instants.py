"""Instants as messages."""

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp


def timestamp_of(name: str, instant: datetime) -> Timestamp:
    """Return an instant as a message; raise ValueError when it has no time zone."""
    if instant.tzinfo is None:
        msg = f"{name} must have a time zone, was {instant.isoformat()}"
        raise ValueError(msg)
    timestamp = Timestamp()
    timestamp.FromDatetime(instant.astimezone(UTC))
    return timestamp


def optional_timestamp(name: str, instant: datetime | None) -> Timestamp | None:
    """Return an instant as a message, None for none; raise ValueError when it has no time zone."""
    return None if instant is None else timestamp_of(name, instant)
