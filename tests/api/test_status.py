"""Faults as google.rpc.Status."""

import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from google.rpc.status_pb2 import Status

from creditgate.api.parse.fields import VIOLATIONS_MAX, raise_violations
from creditgate.api.status import render_item_status, render_status
from creditgate.domain.errors import CreditError, ErrorReason, FieldViolation

TRAILERS_MAX_BYTES = 8 * 1024


def error_info(status: Status) -> ErrorInfo:
    info = ErrorInfo()
    assert status.details[0].Unpack(info)
    return info


def bad_request(status: Status) -> BadRequest:
    request = BadRequest()
    assert status.details[1].Unpack(request)
    return request


def test_a_fault_carries_its_reason() -> None:
    status = render_status(CreditError(ErrorReason.ACCOUNT_NOT_FOUND, "there is no account A1"))
    assert (status.code, status.message) == (5, "there is no account A1")
    assert error_info(status) == ErrorInfo(reason="ACCOUNT_NOT_FOUND", domain="creditgate")
    assert len(status.details) == 1


def test_wrong_fields_are_named() -> None:
    status = render_status(CreditError.of_field("amount_minor", "must be more"))
    assert (status.code, status.message) == (3, "amount_minor must be more")
    assert error_info(status).reason == "INVALID_FIELD"
    (violation,) = bad_request(status).field_violations
    assert (violation.field, violation.description) == ("amount_minor", "must be more")


def test_fields_of_an_item_are_named_from_the_batch() -> None:
    status = render_item_status(CreditError.of_field("amount_minor", "must be more"), "requests[3]")
    (violation,) = bad_request(status).field_violations
    assert (violation.field, violation.description) == ("requests[3].amount_minor", "must be more")


def test_statuses_do_not_share_their_details() -> None:
    first = render_status(CreditError(ErrorReason.OVERLOADED, "a"))
    first.details[0].value = b"spoilt"
    assert error_info(render_status(CreditError(ErrorReason.OVERLOADED, "b"))).reason == "OVERLOADED"


def test_the_worst_status_fits_into_trailers() -> None:
    found = [FieldViolation("account.block.reason", "ä" * 100) for _ in range(100)]
    with pytest.raises(CreditError) as caught:
        raise_violations(found)
    status = render_status(caught.value)
    assert len(bad_request(status).field_violations) == VIOLATIONS_MAX
    percent_encoded = 3 * len(status.message.encode())
    base64_encoded = 4 * status.ByteSize() // 3
    assert percent_encoded + base64_encoded < TRAILERS_MAX_BYTES
