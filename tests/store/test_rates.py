"""Conversion is exact, rounds against the customer, and keeps the rate that was booked."""

import random
import time
from collections.abc import AsyncIterator, Callable
from fractions import Fraction

import pytest

from creditgate.domain.bounds import AMOUNT_MAX_MINOR
from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.domain.money import minor_digits
from creditgate.domain.operations import (
    AmendReservation,
    CommitReservation,
    GetAccount,
    LimitSetting,
    PutAccount,
    ReleaseReservation,
    ReserveCredit,
)
from creditgate.domain.rates import RateFormatError, format_rate, parse_rate
from creditgate.store import RedisCreditStore, keys
from tests.patience import PATIENCE_S
from tests.private_redis import PrivateRedis
from tests.store.opened import open_store

HOLD_S = 3600


def deadline() -> float:
    return time.monotonic() + PATIENCE_S


@pytest.fixture
def server(own_redis: Callable[..., PrivateRedis]) -> PrivateRedis:
    return own_redis()


@pytest.fixture
async def store(server: PrivateRedis) -> AsyncIterator[RedisCreditStore]:
    async with open_store(server.url) as store:
        yield store


def worth(amount_minor: int, rate: str, from_code: str, to_code: str) -> int:
    """Convert exactly, and round up."""
    digits = (minor_digits(to_code) or 0) - (minor_digits(from_code) or 0)
    exact = Fraction(amount_minor) * Fraction(rate) * Fraction(10) ** digits
    return -(-exact.numerator // exact.denominator)


async def put(store: RedisCreditStore, version: int, *rates: tuple[str, str, str], expire_s: int = 0) -> int:
    return await store.put_rates([parse_rate(*rate) for rate in rates], version, expire_s, deadline())


async def open_account(store: RedisCreditStore, account_id: str, currency_code: str) -> None:
    await store.run(PutAccount(account_id, currency_code, unlimited=True), deadline())


@pytest.mark.parametrize(
    ("from_code", "to_code"), [("EUR", "USD"), ("JPY", "USD"), ("USD", "JPY"), ("KWD", "JPY"), ("JPY", "KWD")]
)
async def test_what_is_held_invoiced_and_given_back_adds_up(
    store: RedisCreditStore, new_id: Callable[[str], str], from_code: str, to_code: str
) -> None:
    draw = random.Random(f"{from_code}{to_code}")
    for number in range(40):
        account_id = new_id("acc")
        await open_account(store, account_id, to_code)
        whole = draw.randrange(1, draw.choice((10, 10_000)))
        rate = f"{whole}.{draw.randrange(10 ** draw.randrange(1, 7))}"
        await put(store, 2 * number + 1, (from_code, to_code, rate))
        amount, secured = draw.randrange(1, 10 ** draw.randrange(1, 9)), 0
        if draw.random() < 0.4:
            secured = draw.randrange(amount + 1)
        reserved = await store.run(
            ReserveCredit(account_id, "o", amount, from_code, HOLD_S, secured_minor=secured), deadline()
        )
        assert reserved.reservation is not None
        assert Fraction(reserved.reservation.rate) == Fraction(rate)
        held = worth(amount - secured, rate, from_code, to_code)
        assert reserved.reservation.exposure_minor == held
        await put(store, 2 * number + 2, (from_code, to_code, "3.3"))  # what is booked does not follow
        invoiced = 0
        for part in range(3):
            step = draw.randrange(1, amount + 1)
            invoiced += step
            committed = await store.run(CommitReservation(account_id, "o", step, from_code, f"d{part}"), deadline())
            account = await store.run(GetAccount(account_id), deadline())
            owed = worth(max(0, invoiced - secured), rate, from_code, to_code)
            assert account.exposure.receivable_minor == owed
            assert account.secured_receivable_minor == worth(min(invoiced, secured), rate, from_code, to_code)
            rest = max(0, held - owed) if invoiced < amount else 0
            assert account.exposure.reserved_minor == committed.reservation.exposure_minor == rest
        assert await store.verify_account(account_id, repair=False, deadline=deadline()) == ()


@pytest.mark.parametrize("rate", ["1.0842", "0.0000000003", "0.99999999", "123456.789", "99999999.9999", "7"])
async def test_conversion_is_exact_on_both_sides_of_2_to_the_53(
    store: RedisCreditStore, new_id: Callable[[str], str], rate: str
) -> None:
    account_id = new_id("acc")
    await open_account(store, account_id, "USD")
    parsed = parse_rate("EUR", "USD", rate)
    await put(store, 1, ("EUR", "USD", rate))
    unit = 10**parsed.scale
    around = {2**53 // parsed.mantissa, unit, unit * 3, unit * (2**53 // parsed.mantissa // unit)}
    for number, amount in enumerate(sorted({each + more for each in around for more in range(-2, 3)})):
        if 0 < amount <= AMOUNT_MAX_MINOR and worth(amount, rate, "EUR", "USD") <= AMOUNT_MAX_MINOR:
            order = ReserveCredit(account_id, f"o{number}", amount, "EUR", HOLD_S)
            reserved = await store.run(order, deadline())
            assert reserved.reservation is not None
            assert reserved.reservation.exposure_minor == worth(amount, rate, "EUR", "USD")
            await store.run(ReleaseReservation(account_id, f"o{number}"), deadline())


async def test_an_amend_and_a_release_use_the_booked_rate(
    store: RedisCreditStore, new_id: Callable[[str], str]
) -> None:
    account_id = new_id("acc")
    await open_account(store, account_id, "USD")
    await put(store, 1, ("EUR", "USD", "1.5"))
    await store.run(ReserveCredit(account_id, "o", 100, "EUR", HOLD_S), deadline())
    await put(store, 2, ("EUR", "USD", "2"))
    amended = await store.run(AmendReservation(account_id, "o", 201, "EUR"), deadline())
    assert (amended.reservation.exposure_minor, amended.reservation.rate) == (302, "1.5")
    await store.run(ReleaseReservation(account_id, "o"), deadline())
    assert (await store.run(GetAccount(account_id), deadline())).exposure.reserved_minor == 0


async def test_the_limit_is_compared_with_what_the_order_is_worth(
    store: RedisCreditStore, new_id: Callable[[str], str]
) -> None:
    account_id = new_id("acc")
    await store.run(PutAccount(account_id, "USD", base_limit=LimitSetting(150)), deadline())
    await put(store, 1, ("EUR", "USD", "1.5"))
    fits = await store.run(ReserveCredit(account_id, "o1", 100, "EUR", HOLD_S), deadline())
    assert fits.reservation is not None
    over = await store.run(ReserveCredit(account_id, "o2", 1, "EUR", HOLD_S), deadline())
    assert [(reason.observed, reason.threshold) for reason in over.decision.reasons] == [(152, 150)]


async def test_an_older_table_changes_nothing(store: RedisCreditStore, new_id: Callable[[str], str]) -> None:
    assert await put(store, 5, ("EUR", "USD", "1.5"), ("CHF", "USD", "1.1")) == 2
    assert await put(store, 4, ("EUR", "USD", "9")) == 0
    assert await put(store, 5, ("EUR", "USD", "1.5")) == 1
    account_id = new_id("acc")
    await open_account(store, account_id, "USD")
    reserved = await store.run(ReserveCredit(account_id, "o", 2, "EUR", HOLD_S), deadline())
    assert reserved.reservation is not None
    assert reserved.reservation.exposure_minor == 3


async def test_rates_that_end_before_they_could_be_used_are_refused_and_change_nothing(
    store: RedisCreditStore, server: PrivateRedis, new_id: Callable[[str], str]
) -> None:
    account_id = new_id("acc")
    await open_account(store, account_id, "USD")
    await put(store, 1, ("EUR", "USD", "1.5"))
    with server.client() as client:
        now_s = int(client.time()[0]) + 1000
        client.mset({keys.clock(partition): now_s for partition in range(store.partitions)})
        journals = [keys.journal(partition) for partition in range(store.partitions)]
        before = [client.xlen(journal) for journal in journals]
        for past_s in (1, now_s - 999, now_s):
            with pytest.raises(CreditError) as caught:
                await put(store, 2, ("EUR", "USD", "9"), ("CHF", "USD", "1"), expire_s=past_s)
            assert caught.value.reason is ErrorReason.INVALID_FIELD
            assert [each.field for each in caught.value.violations] == ["expire_time"]
            assert "must be later than the store's clock, which says 20" in caught.value.message
        assert [client.xlen(journal) for journal in journals] == before
        assert {client.hlen(keys.rates(partition)) for partition in range(store.partitions)} == {1}
    reserved = await store.run(ReserveCredit(account_id, "o1", 2, "EUR", HOLD_S), deadline())
    assert reserved.reservation is not None
    assert reserved.reservation.exposure_minor == 3
    assert await put(store, 2, ("EUR", "USD", "9"), expire_s=now_s + 1) == 1


async def test_a_rate_that_has_expired_is_none(
    store: RedisCreditStore, server: PrivateRedis, new_id: Callable[[str], str]
) -> None:
    account_id = new_id("acc")
    await open_account(store, account_id, "USD")
    with server.client() as client:
        now_s = int(client.time()[0])
        end_s = now_s + 1000
        await put(store, 1, ("EUR", "USD", "1.5"), expire_s=end_s)
        await store.run(ReserveCredit(account_id, "o1", 2, "EUR", HOLD_S), deadline())
        client.set(keys.clock(keys.partition_of(account_id, store.partitions)), end_s)
    with pytest.raises(CreditError, match="from EUR to USD") as caught:
        await store.run(ReserveCredit(account_id, "o2", 2, "EUR", HOLD_S), deadline())
    assert caught.value.reason is ErrorReason.EXCHANGE_RATE_NOT_FOUND
    await store.run(CommitReservation(account_id, "o1", 2, "EUR", "d1"), deadline())


async def test_what_would_leave_the_range_is_refused(store: RedisCreditStore, new_id: Callable[[str], str]) -> None:
    account_id = new_id("acc")
    await open_account(store, account_id, "JPY")
    await put(store, 1, ("KWD", "JPY", "99999999999"), ("USD", "JPY", "100"))
    for currency_code, amount in (("KWD", AMOUNT_MAX_MINOR), ("USD", AMOUNT_MAX_MINOR)):
        order = ReserveCredit(account_id, currency_code, amount, currency_code, HOLD_S)
        if currency_code == "KWD":
            with pytest.raises(CreditError) as caught:
                await store.run(order, deadline())
            assert caught.value.reason is ErrorReason.SUM_OUT_OF_RANGE
        else:  # a hundredth of 100 is one
            reserved = await store.run(order, deadline())
            assert reserved.reservation is not None
            assert reserved.reservation.exposure_minor == AMOUNT_MAX_MINOR


@pytest.mark.parametrize("text", ["0", "-1", "1e3", "", "1.", ".5", "1234567890123", "0.12345678901", "1,5"])
def test_what_is_no_rate(text: str) -> None:
    with pytest.raises(RateFormatError):
        parse_rate("EUR", "USD", text)


@pytest.mark.parametrize(
    ("text", "shown"), [("1", "1"), ("1.50", "1.5"), ("0.0000000001", "0.0000000001"), ("12.000", "12")]
)
def test_a_rate_is_shown_as_it_was_given(text: str, shown: str) -> None:
    rate = parse_rate("EUR", "USD", text)
    assert format_rate(rate.mantissa, rate.scale) == shown
