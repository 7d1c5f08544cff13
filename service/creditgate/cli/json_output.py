"""Answers as JSON for programs: proto3 JSON with the field names of the contract, every field present."""

import sys

from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message


def print_message(message: Message) -> None:
    """Print one document."""
    _print(message, indent=2)


def print_message_line(message: Message) -> None:
    """Print one document on a line of its own."""
    _print(message, indent=None)


def _print(message: Message, indent: int | None) -> None:
    text = MessageToJson(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True, indent=indent
    )
    sys.stdout.write(text + "\n")
