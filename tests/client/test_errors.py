"""How a fault reaches the caller."""

import grpc
import pytest
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from google.rpc.status_pb2 import Status

from creditgate.client import CreditCallError, CreditClient, FieldViolation, reserve_credit_request
from creditgate.v1.credit_service_pb2 import BatchReserveCreditResponse, BatchReserveCreditResult
from tests.client.scripted_service import Failure, ScriptedService, Wait


def packed(message: Message) -> Any:
    details = Any()
    details.Pack(message)
    return details


INVALID = Status(
    code=grpc.StatusCode.INVALID_ARGUMENT.value[0],
    message="amount_minor must be from 1",
    details=[
        packed(ErrorInfo(reason="INVALID_FIELD", domain="creditgate")),
        packed(
            BadRequest(field_violations=[BadRequest.FieldViolation(field="amount_minor", description="must be from 1")])
        ),
    ],
)


def call_error(scripted: ScriptedService, failure: Failure) -> CreditCallError:
    scripted.script("GetAccount", failure)
    with CreditClient(scripted.address) as client, pytest.raises(CreditCallError) as raised:
        client.get_account("acme")
    return raised.value


def test_an_error_carries_its_reason_and_the_wrong_fields(scripted: ScriptedService) -> None:
    error = call_error(scripted, Failure(grpc.StatusCode.INVALID_ARGUMENT, INVALID.message, INVALID))
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert error.reason == "INVALID_FIELD"
    assert error.message == "amount_minor must be from 1"
    assert error.violations == (FieldViolation("amount_minor", "must be from 1"),)
    assert str(error) == "INVALID_FIELD: amount_minor must be from 1"


@pytest.mark.parametrize("details", [None, b"\xff not a status"])
def test_an_error_without_readable_details_keeps_code_and_message(
    scripted: ScriptedService, details: bytes | None
) -> None:
    error = call_error(scripted, Failure(grpc.StatusCode.NOT_FOUND, "no such account", details))
    assert (error.code, error.reason, error.message) == (grpc.StatusCode.NOT_FOUND, "", "no such account")
    assert str(error) == "NOT_FOUND: no such account"


def test_an_item_of_a_batch_fails_with_the_same_error(scripted: ScriptedService) -> None:
    scripted.script("BatchReserveCredit", BatchReserveCreditResponse(results=[BatchReserveCreditResult(error=INVALID)]))
    order = reserve_credit_request("acme", "order-1", amount_minor=0, currency_code="USD")
    with CreditClient(scripted.address) as client:
        (error,) = client.batch_reserve_credit([order])
    assert isinstance(error, CreditCallError)
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert error.reason == "INVALID_FIELD"
    assert error.violations == (FieldViolation("amount_minor", "must be from 1"),)


def test_a_call_that_is_not_answered_ends_with_its_deadline(scripted: ScriptedService) -> None:
    scripted.script("GetAccount", Wait())
    with CreditClient(scripted.address) as client:
        with pytest.raises(CreditCallError) as raised:
            client.with_timeout(0.1).get_account("acme")
        assert client.timeout_s == 2.0
    assert raised.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
