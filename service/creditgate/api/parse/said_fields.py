"""Which fields any of many rows has.

Reading a field of each row costs more than all that is done with it, and most batches say nothing of most fields. On
the wire, a message that comes again is merged into the one before; so the rows of a chunk, read as if there could be
only one, are one row that has each field which any of them has.
"""

from functools import cache
from typing import cast

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

from creditgate.v1.limit_feed_service_pb2 import LimitUpdate, LimitUpdates

_FILE = "creditgate/api/said_fields.proto"
_NAME = "creditgate.api.SaidFields"


def said_fields(serialized: bytes) -> LimitUpdate:
    """Return a row that has each field which any row of a serialized `LimitUpdates` has; its values say nothing.

    Values must have been left out where they are the default, as Python's own serialization does.
    """
    merged = _merging_type()()
    merged.MergeFromString(serialized)
    return cast("LimitUpdate", getattr(merged, "updates"))  # noqa: B009 - a type made here has no attributes to mypy


@cache
def _merging_type() -> type[Message]:
    """Return a `LimitUpdates` that has room for one row."""
    rows = LimitUpdates.DESCRIPTOR.fields_by_name["updates"]
    file = descriptor_pb2.FileDescriptorProto(
        name=_FILE, package="creditgate.api", syntax="proto3", dependency=[LimitUpdate.DESCRIPTOR.file.name]
    )
    message = file.message_type.add(name="SaidFields")
    message.field.add(
        name=rows.name,
        number=rows.number,
        type=descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE,
        type_name=f".{LimitUpdate.DESCRIPTOR.full_name}",
        label=descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL,
    )
    pool = descriptor_pool.Default()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(_NAME))
