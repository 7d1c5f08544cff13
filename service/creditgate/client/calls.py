"""What the two clients share: how a method takes its parameters from a request builder, and how calls are split."""

import inspect
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import NamedTuple, ParamSpec, Protocol, TypeVar

from creditgate.domain.bounds import BATCH_SIZE_MAX
from creditgate.v1.admin_service_pb2 import SumDifference, VerifyAccountsRequest, VerifyAccountsResponse
from creditgate.v1.credit_service_pb2 import BatchReserveCreditRequest, ReserveCreditRequest

MethodT = TypeVar("MethodT", bound=Callable[..., object])
P = ParamSpec("P")
RequestT = TypeVar("RequestT")
AnswerT = TypeVar("AnswerT")
ItemT = TypeVar("ItemT")


class PageRequest(Protocol):
    """Asks for a page of a listing."""

    page_token: str


class Page(Protocol):
    """A page of a listing; an empty token is the only end."""

    next_page_token: str


PageRequestT = TypeVar("PageRequestT", bound=PageRequest)
PageT = TypeVar("PageT", bound=Page)


def signed_as(build: Callable[..., object]) -> Callable[[MethodT], MethodT]:
    """Return a decorator for a method that passes all its arguments to `build`, which documents them.

    `functools.wraps` alone would make `inspect` and `help` take the first parameter of `build` for `self`.
    """
    self_parameter = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    parameters = [self_parameter, *inspect.signature(build).parameters.values()]

    def sign(method: MethodT) -> MethodT:
        method.__name__ = build.__name__
        method.__qualname__ = build.__qualname__
        method.__doc__ = build.__doc__
        method.__dict__["__signature__"] = inspect.Signature(parameters)
        return method

    return sign


def batch_requests(orders: Iterable[ReserveCreditRequest]) -> Iterator[BatchReserveCreditRequest]:
    """Split orders into calls of the most that one takes, drawing them from the iterable as they are sent."""
    remaining = iter(orders)
    while batch := list(islice(remaining, BATCH_SIZE_MAX)):
        yield BatchReserveCreditRequest(requests=batch)


class VerifiedAccounts(NamedTuple):
    """What verifying some accounts found.

    Attributes:
        verified: how many accounts they were.
        differences: every sum of theirs that differs from what it sums up.

    """

    verified: int
    differences: tuple[SumDifference, ...]


def verification_requests(
    account_ids: Iterable[str], *, repair: bool, page_size: int
) -> Iterator[VerifyAccountsRequest]:
    """Yield the calls that verify these accounts; without any, the first call for all accounts."""
    remaining = iter(account_ids)
    ids = list(islice(remaining, page_size))
    if not ids:
        yield VerifyAccountsRequest(page_size=page_size, repair=repair)
    while ids:
        yield VerifyAccountsRequest(account_ids=ids, repair=repair)
        ids = list(islice(remaining, page_size))


def verified_accounts(page: VerifyAccountsResponse) -> VerifiedAccounts:
    """Return what a call has found."""
    return VerifiedAccounts(page.verified, tuple(page.differences))
