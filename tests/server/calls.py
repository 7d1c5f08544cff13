"""Calls as a client of another program would make them, and what their errors carry."""

import grpc
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health_pb2

from creditgate.v1.credit_service_pb2 import ReserveCreditRequest
from tests.patience import PATIENCE_S

RESERVE_CREDIT = "/creditgate.v1.CreditService/ReserveCredit"
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING

_BIG = 64 * 1024 * 1024


def open_channel(address: object) -> grpc.aio.Channel:
    """Return a channel that sends messages of any size and repeats nothing."""
    options = (
        ("grpc.max_send_message_length", _BIG),
        ("grpc.enable_retries", 0),
        ("grpc.use_local_subchannel_pool", 1),
    )
    return grpc.aio.insecure_channel(str(address), options=options)


def reserve_request(account_id: str, order_id: str, amount_minor: int = 100) -> ReserveCreditRequest:
    return ReserveCreditRequest(
        account_id=account_id, order_id=order_id, amount_minor=amount_minor, currency_code="USD"
    )


async def call_raw(channel: grpc.aio.Channel, request: bytes, method: str = RESERVE_CREDIT) -> bytes:
    """Call with bytes that need not be a message, and return the response's."""
    return await raw_method(channel, method)(request, timeout=PATIENCE_S)


def raw_method(channel: grpc.aio.Channel, method: str) -> grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]:
    """Return an RPC whose messages are bytes."""
    return channel.unary_unary(method, request_serializer=bytes, response_deserializer=bytes)


def status_of(error: grpc.aio.AioRpcError) -> Status:
    """Return the google.rpc.Status in the trailers."""
    trailers = dict(error.trailing_metadata() or ())
    details = trailers["grpc-status-details-bin"]
    assert isinstance(details, bytes)
    status = Status.FromString(details)
    assert error.code().value[0] == status.code
    assert error.details() == status.message
    return status


def reason_of(error: grpc.aio.AioRpcError) -> str:
    """Return the reason of the ErrorInfo."""
    info = ErrorInfo()
    assert status_of(error).details[0].Unpack(info)
    assert info.domain == "creditgate"
    return info.reason


def violations_of(error: grpc.aio.AioRpcError) -> dict[str, str]:
    """Return what the BadRequest says of each field."""
    bad = BadRequest()
    assert status_of(error).details[1].Unpack(bad)
    return {violation.field: violation.description for violation in bad.field_violations}


async def health_of(channel: grpc.aio.Channel, service: str = "") -> int:
    check = channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
    return (await check(health_pb2.HealthCheckRequest(service=service), timeout=PATIENCE_S)).status
