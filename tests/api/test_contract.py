"""What stands both in the protos and in the domain agrees, and the endpoints are those of the protos."""

import re
from enum import Enum
from pathlib import Path

import pytest
from google.protobuf.descriptor import FileDescriptor
from google.rpc import code_pb2

from creditgate.api.endpoints import StreamEndpoint, UnaryEndpoint, build_endpoints
from creditgate.api.status import render_status
from creditgate.domain.account import AccountStatus
from creditgate.domain.decision import Action, Outcome, ReasonCode
from creditgate.domain.errors import CreditError, ErrorKind, ErrorReason
from creditgate.domain.limit_batch import GuardRail, LimitBatchMode, LimitBatchState, LimitRowErrorReason
from creditgate.domain.reservation import ReservationState
from creditgate.limit_feed import Finisher, LimitFeed
from creditgate.policies import FixedPolicy
from creditgate.store import RedisCreditStore
from creditgate.v1 import (
    account_pb2,
    admin_service_pb2,
    credit_desk_service_pb2,
    credit_service_pb2,
    decision_pb2,
    errors_pb2,
    limit_batch_pb2,
    limit_feed_service_pb2,
    receivables_service_pb2,
    reservation_pb2,
)
from tests.limit_feed.pushes import NotedSteps

ERRORS_PROTO = Path(__file__).parents[2] / "protos/creditgate/v1/errors.proto"

PAIRS = [
    (AccountStatus, account_pb2.DESCRIPTOR, "ACCOUNT_STATUS"),
    (Action, decision_pb2.DESCRIPTOR, "ACTION"),
    (ErrorReason, errors_pb2.DESCRIPTOR, "ERROR_REASON"),
    (GuardRail, limit_batch_pb2.DESCRIPTOR, "GUARD_RAIL"),
    (LimitBatchMode, limit_batch_pb2.DESCRIPTOR, "LIMIT_BATCH_MODE"),
    (LimitBatchState, limit_batch_pb2.DESCRIPTOR, "LIMIT_BATCH_STATE"),
    (LimitRowErrorReason, limit_batch_pb2.DESCRIPTOR, "LIMIT_ROW_ERROR_REASON"),
    (Outcome, decision_pb2.DESCRIPTOR, "OUTCOME"),
    (ReasonCode, decision_pb2.DESCRIPTOR, "REASON_CODE"),
    (ReservationState, reservation_pb2.DESCRIPTOR, "RESERVATION_STATE"),
]

READING = {
    "CheckCredit",
    "GetAccount",
    "GetGroup",
    "GetLimitBatch",
    "GetPolicy",
    "GetReservation",
    "ListAccounts",
    "ListGroups",
    "ListLimitBatches",
    "ListReservations",
}
"""RPCs that change nothing whatever is asked."""


@pytest.mark.parametrize(("of_domain", "file", "prefix"), PAIRS, ids=lambda value: getattr(value, "__name__", ""))
def test_enums_agree(of_domain: type[Enum], file: FileDescriptor, prefix: str) -> None:
    members = {f"{prefix}_{member.name}": member.value for member in of_domain if member is not Action.OFF}
    declared = {value.name: value.number for value in file.enum_types_by_name[of_domain.__name__].values}
    assert members | {f"{prefix}_UNSPECIFIED": 0} == declared


def test_every_error_reason_has_the_status_that_its_comment_says() -> None:
    said = re.findall(r"// ([A-Z_]+): .*\n(?:  // .*\n)*  ERROR_REASON_([A-Z_]+) =", ERRORS_PROTO.read_text())
    codes = {code.number: code.name for code in code_pb2.DESCRIPTOR.enum_types_by_name["Code"].values}
    sent = [(codes[render_status(CreditError(reason, "")).code], reason.name) for reason in ErrorReason]
    assert sent == said


def test_error_kinds_are_those_of_google_rpc() -> None:
    assert {kind.name: kind.value for kind in ErrorKind}.items() <= dict(code_pb2.Code.items()).items()


def test_every_rpc_of_the_protos_has_its_endpoint(store: RedisCreditStore) -> None:
    declared = {
        (service.full_name, method.name, method.input_type.full_name, method.output_type.full_name)
        for file in (
            credit_service_pb2,
            receivables_service_pb2,
            limit_feed_service_pb2,
            credit_desk_service_pb2,
            admin_service_pb2,
        )
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }
    policy = FixedPolicy()
    feed = LimitFeed(store.limit_batches, Finisher(store.limit_batches, policy, NotedSteps()))
    endpoints = build_endpoints(store, policy, feed)
    assert {endpoint.method for endpoint in endpoints.unary if endpoint.only_reads} == READING
    assert not any(endpoint.only_reads for endpoint in endpoints.streams)
    served = [signature_of(endpoint) for endpoint in endpoints.unary]
    served += [signature_of(endpoint) for endpoint in endpoints.streams]
    assert sorted(served) == sorted(declared)


def signature_of(endpoint: UnaryEndpoint | StreamEndpoint) -> tuple[str, str, str, str]:
    return (
        endpoint.service,
        endpoint.method,
        endpoint.request_class.DESCRIPTOR.full_name,
        endpoint.response_class.DESCRIPTOR.full_name,
    )
