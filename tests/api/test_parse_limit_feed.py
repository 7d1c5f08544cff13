"""Requests of LimitFeedService: each bound, what is said beyond it, and that a quick look and a close one agree."""

import math
import time
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creditgate.api.parse.limit_feed import (
    ROW_NUMBER_MAX,
    SentUpdates,
    check_cancel_limit_batch,
    check_rollback_limit_batch,
    parse_activate_limit_batch,
    parse_get_limit_batch,
    parse_header,
    parse_list_limit_batches,
)
from creditgate.api.parse.limit_rows import parse_plain, parse_update
from creditgate.api.parse.said_fields import said_fields
from creditgate.domain.bounds import AMOUNT_MAX_MINOR, SECOND_MAX
from creditgate.domain.errors import CreditError
from creditgate.domain.limit_batch import (
    LimitBatchHeader,
    LimitBatchMode,
    LimitBatchState,
    LimitRow,
    LimitRowError,
    LimitRowErrorReason,
)
from creditgate.limit_feed import Activation
from creditgate.v1.limit_batch_pb2 import (
    LIMIT_BATCH_MODE_PREVIEW,
    LIMIT_BATCH_STATE_QUARANTINED,
    LIMIT_BATCH_STATE_STAGED,
    LIMIT_BATCH_STATE_UNSPECIFIED,
)
from creditgate.v1.limit_batch_pb2 import LimitRowError as LimitRowErrorMessage
from creditgate.v1.limit_feed_service_pb2 import (
    ActivateLimitBatchRequest,
    CancelLimitBatchRequest,
    GetLimitBatchRequest,
    LimitUpdate,
    LimitUpdates,
    ListLimitBatchesRequest,
    RollbackLimitBatchRequest,
)
from creditgate.v1.limit_feed_service_pb2 import LimitBatchHeader as LimitBatchHeaderMessage

NOW_S = 1_700_000_000
Change = Callable[[LimitUpdate], object]


def update(**fields: object) -> LimitUpdate:
    given_fields = {"account_id": "acme", "limit_minor": 100, "currency_code": "USD", "version": 1} | fields
    return LimitUpdate(**given_fields)  # type: ignore[arg-type]  # fields by name


def changed(change: Change) -> LimitUpdate:
    row = update()
    change(row)
    return row


def set_time(name: str, seconds: int, nanos: int = 0) -> Change:
    def change(row: LimitUpdate) -> None:
        getattr(row, name).seconds = seconds
        getattr(row, name).nanos = nanos

    return change


def put(**fields: object) -> Change:
    def change(row: LimitUpdate) -> None:
        for name, value in fields.items():
            setattr(row, name, value)

    return change


def give_reasons(*reasons: str) -> Change:
    return lambda row: row.reasons.extend(reasons)


def without_limit(row: LimitUpdate) -> None:
    row.ClearField("limit_minor")


def unlimited(row: LimitUpdate) -> None:
    row.ClearField("limit_minor")
    row.unlimited = True


def times(effective_s: int, expire_s: int) -> Change:
    def change(row: LimitUpdate) -> None:
        row.effective_time.seconds = effective_s
        row.expire_time.seconds = expire_s

    return change


# --- rows


def test_a_row_with_everything() -> None:
    row = update(risk_class="gold", score=0.25, reasons=["pays early", "Größe"])
    times(NOW_S + 10, NOW_S + 11)(row)
    assert parse_update(7, row, NOW_S) == LimitRow(
        7, "acme", 100, "USD", 1, "gold", 0.25, NOW_S + 10, NOW_S + 11, "pays early\nGröße"
    )


def test_a_row_with_the_least() -> None:
    parsed = parse_update(1, update(), NOW_S)
    assert parsed == LimitRow(1, "acme", 100, "USD", 1)
    assert type(parsed) is LimitRow


RIGHT: list[tuple[Change, LimitRow]] = [
    (put(limit_minor=0), LimitRow(1, "acme", 0, "USD", 1)),
    (put(limit_minor=AMOUNT_MAX_MINOR), LimitRow(1, "acme", AMOUNT_MAX_MINOR, "USD", 1)),
    (unlimited, LimitRow(1, "acme", None, "USD", 1)),
    (put(account_id="a" * 128), LimitRow(1, "a" * 128, 100, "USD", 1)),
    (put(currency_code="JPY"), LimitRow(1, "acme", 100, "JPY", 1)),
    (put(risk_class="a" * 32), LimitRow(1, "acme", 100, "USD", 1, "a" * 32)),
    (put(score=0.0), LimitRow(1, "acme", 100, "USD", 1, score=0.0)),
    (put(score=-1e300), LimitRow(1, "acme", 100, "USD", 1, score=-1e300)),
    (put(version=AMOUNT_MAX_MINOR), LimitRow(1, "acme", 100, "USD", AMOUNT_MAX_MINOR)),
    (set_time("effective_time", 1), LimitRow(1, "acme", 100, "USD", 1, effective_time_s=1)),
    (set_time("effective_time", SECOND_MAX), LimitRow(1, "acme", 100, "USD", 1, effective_time_s=SECOND_MAX)),
    (set_time("expire_time", NOW_S + 1), LimitRow(1, "acme", 100, "USD", 1, expire_time_s=NOW_S + 1)),
    (set_time("expire_time", SECOND_MAX), LimitRow(1, "acme", 100, "USD", 1, expire_time_s=SECOND_MAX)),
    (
        give_reasons("a" * 100, "b", "c", "d", "e"),
        LimitRow(1, "acme", 100, "USD", 1, reasons="a" * 100 + "\nb\nc\nd\ne"),
    ),
    (give_reasons("a\u00a0b"), LimitRow(1, "acme", 100, "USD", 1, reasons="a\u00a0b")),
]


@pytest.mark.parametrize(("change", "row"), RIGHT)
def test_a_row_at_its_bounds(change: Change, row: LimitRow) -> None:
    assert parse_update(1, changed(change), NOW_S) == row


WRONG: list[tuple[Change, str, str]] = [
    (put(account_id=""), "account_id", "must be 1 to 128 characters of [A-Za-z0-9._:/@-], was empty"),
    (put(account_id="a" * 129), "account_id", "must be 1 to 128 characters of [A-Za-z0-9._:/@-], was 'aaaa"),
    (put(account_id="a b"), "account_id", "must be 1 to 128 characters of [A-Za-z0-9._:/@-], was 'a b'"),
    (put(limit_minor=-1), "limit_minor", "must be between 0 and 9007199254740991 minor units, was -1"),
    (
        put(limit_minor=AMOUNT_MAX_MINOR + 1),
        "limit_minor",
        "must be between 0 and 9007199254740991 minor units, was 90",
    ),
    (without_limit, "limit_minor", "must be set unless unlimited is"),
    (put(unlimited=True), "limit_minor", "must be absent with unlimited, was 100"),
    (put(currency_code=""), "currency_code", "must be an ISO 4217 currency code such as USD, was empty"),
    (put(currency_code="usd"), "currency_code", "must be an ISO 4217 currency code such as USD, was 'usd'"),
    (put(currency_code="XAU"), "currency_code", "must be an ISO 4217 currency code such as USD, was 'XAU'"),
    (put(risk_class="Gold"), "risk_class", "must be at most 32 characters of [a-z0-9_-], was 'Gold'"),
    (put(risk_class="a" * 33), "risk_class", "must be at most 32 characters of [a-z0-9_-], was 'aaa"),
    (put(score=math.nan), "score", "must be a finite number, was nan"),
    (put(score=-math.inf), "score", "must be a finite number, was -inf"),
    (put(version=0), "version", "must be from 1 to 9007199254740991, was 0"),
    (put(version=AMOUNT_MAX_MINOR + 1), "version", "must be from 1 to 9007199254740991, was 9007199254740992"),
    (set_time("effective_time", 0), "effective_time", "must be a whole second between 1970 and February 2106"),
    (set_time("effective_time", SECOND_MAX + 1), "effective_time", "must be a whole second between 1970 and"),
    (set_time("effective_time", NOW_S, 1), "effective_time", "must be a whole second between 1970 and February 2106"),
    (set_time("expire_time", 0), "expire_time", "must be a whole second between 1970 and February 2106"),
    (set_time("expire_time", SECOND_MAX + 1), "expire_time", "must be a whole second between 1970 and February 2106"),
    (set_time("expire_time", NOW_S + 9, 1), "expire_time", "must be a whole second between 1970 and February 2106"),
    (
        set_time("expire_time", NOW_S),
        "expire_time",
        "must be later than the batch's begin (1700000000 seconds), was 17",
    ),
    (times(NOW_S + 9, NOW_S + 9), "expire_time", "must be later than effective_time"),
    (give_reasons("a", "b", "c", "d", "e", "f"), "reasons", "must be at most 5, had 6"),
    (give_reasons("a" * 101), "reasons[0]", "must be at most 100 characters, had 101"),
    (give_reasons("fine", "a\nb"), "reasons[1]", "must have no control characters, was 'a\\nb'"),
    (give_reasons(" "), "reasons[0]", "must be 1 to 100 characters, was ' '"),
]


@pytest.mark.parametrize(("change", "field", "message"), WRONG)
def test_a_wrong_row_names_field_and_bound(change: Change, field: str, message: str) -> None:
    row = changed(change)
    wrong = parse_update(3, row, NOW_S)
    assert isinstance(wrong, LimitRowError)
    assert (wrong.row, wrong.account_id, wrong.reason) == (3, row.account_id[:128], LimitRowErrorReason.INVALID_FIELD)
    assert wrong.field == field
    assert wrong.message.startswith(message)
    assert len(wrong.message) <= 200


edges = st.sampled_from([change for change, _ in RIGHT] + [change for change, _, _ in WRONG])


@given(st.lists(edges, max_size=4))
def test_whatever_is_wrong_is_found_or_the_row_is_taken(changes: list[Change]) -> None:
    row = update()
    for change in changes:
        change(row)
    parsed = parse_update(1, row, NOW_S)
    if isinstance(parsed, LimitRowError):
        assert parsed.field
    else:
        assert parse_update(1, message_of(parsed), NOW_S) == parsed


def together(rows: list[LimitUpdate]) -> list[LimitRow] | None:
    return parse_plain(1, rows, said_fields(LimitUpdates(updates=rows).SerializeToString()), NOW_S)


@pytest.mark.parametrize(
    ("change", "row"), [each for each in RIGHT if each[1].limit_minor is not None and "\u00a0" not in each[1].reasons]
)
def test_right_rows_with_a_ceiling_are_plain(change: Change, row: LimitRow) -> None:
    plain = together([changed(change), update(account_id="b")])
    assert plain == [row, LimitRow(2, "b", 100, "USD", 1)]
    assert {type(each) for each in plain} == {LimitRow}


@given(st.lists(st.lists(edges, max_size=2), min_size=1, max_size=4))
def test_rows_are_looked_at_together_as_each_by_itself(rows_changes: list[list[Change]]) -> None:
    rows = [update() for _ in rows_changes]
    for row, changes in zip(rows, rows_changes, strict=True):
        for change in changes:
            change(row)
    each = [parse_update(number, row, NOW_S) for number, row in enumerate(rows, 1)]
    assert together(rows) in (None, each)
    sent = SentUpdates(LimitUpdates(first_row=1, updates=rows)).parse(1, len(rows), NOW_S)
    assert [*sent.rows, *sent.errors] == sorted(each, key=lambda row: isinstance(row, LimitRowError))


@pytest.mark.parametrize("account_id", ["a\nb", "a\n", "\n", "\na"])
def test_no_id_hides_another(account_id: str) -> None:
    assert together([update(account_id=account_id), update()]) is None


def message_of(row: LimitRow) -> LimitUpdate:
    """Return the message that says what a row says."""
    message = LimitUpdate(account_id=row.account_id, currency_code=row.currency_code, version=row.version)
    if row.limit_minor is None:
        message.unlimited = True
    else:
        message.limit_minor = row.limit_minor
    message.risk_class = row.risk_class
    if row.score is not None:
        message.score = row.score
    if row.effective_time_s:
        message.effective_time.seconds = row.effective_time_s
    if row.expire_time_s:
        message.expire_time.seconds = row.expire_time_s
    message.reasons.extend(row.reasons.split("\n") if row.reasons else ())
    return message


# --- messages of rows


def unreadable(row: int, **fields: object) -> LimitRowErrorMessage:
    return LimitRowErrorMessage(row=row, **fields)  # type: ignore[arg-type]  # fields by name


def test_unreadable_rows_stand_between_the_others() -> None:
    rows = [update(account_id=f"a{number}") for number in (1, 3, 4)]
    wrong = [unreadable(5, field="limit", message="x"), unreadable(2, account_id="z" * 200, message=" two\nlines ")]
    sent = SentUpdates(LimitUpdates(first_row=1, updates=rows, unreadable_rows=wrong))
    assert (sent.first_row, sent.last_row) == (1, 5)
    parsed = sent.parse(1, 5, NOW_S)
    assert [(row.row, row.account_id) for row in parsed.rows] == [(1, "a1"), (3, "a3"), (4, "a4")]
    assert sorted((each.row, each.account_id, each.message) for each in parsed.errors) == [
        (2, "z" * 128, "two lines"),
        (5, "", "x"),
    ]
    assert {each.reason for each in parsed.errors} == {LimitRowErrorReason.UNREADABLE}
    assert [row.account_id for row in sent.parse(3, 4, NOW_S).rows] == ["a3", "a4"]
    assert sent.parse(2, 2, NOW_S).rows == []


@pytest.mark.parametrize(
    ("message", "field", "what"),
    [
        (LimitUpdates(first_row=1), "updates", "must have 1 to 1000 rows, had 0"),
        (LimitUpdates(first_row=1, updates=[update()] * 1001), "updates", "must have 1 to 1000 rows, had 1001"),
        (
            LimitUpdates(first_row=1, updates=[update()] * 1000, unreadable_rows=[unreadable(1)]),
            "updates",
            "must have 1 to 1000 rows, had 1001",
        ),
        (LimitUpdates(updates=[update()]), "updates.first_row", "must be from 1 to 999999999, was 0"),
        (
            LimitUpdates(first_row=ROW_NUMBER_MAX, updates=[update()]),
            "updates.first_row",
            "must be from 1 to 999999999, was 1000000000",
        ),
        (
            LimitUpdates(first_row=5, updates=[update()], unreadable_rows=[unreadable(5), unreadable(4)]),
            "updates.unreadable_rows[1].row",
            "must be from 5 to 7, the rows of the message, was 4",
        ),
        (
            LimitUpdates(first_row=5, unreadable_rows=[unreadable(5), unreadable(5)]),
            "updates.unreadable_rows",
            "must have each row once",
        ),
    ],
)
def test_a_wrong_message_names_field_and_bound(message: LimitUpdates, field: str, what: str) -> None:
    with pytest.raises(CreditError) as caught:
        SentUpdates(message)
    assert [(each.field, each.description) for each in caught.value.violations] == [(field, what)]


@given(
    st.lists(st.booleans(), min_size=1, max_size=30),
    st.lists(st.integers(1, 29), max_size=4),
    st.integers(1, 10_000),
)
def test_what_was_said_of_rows_is_the_same_in_other_messages(
    readable: list[bool], cuts: list[int], first_row: int
) -> None:
    def message(start: int, end: int) -> SentUpdates:
        rows = [(first_row + place, is_readable) for place, is_readable in enumerate(readable)][start:end]
        return SentUpdates(
            LimitUpdates(
                first_row=first_row + start,
                updates=[update(version=row) for row, is_readable in rows if is_readable],
                unreadable_rows=[unreadable(row) for row, is_readable in rows if not is_readable],
            )
        )

    places = sorted({0, len(readable), *(cut for cut in cuts if cut < len(readable))})
    parts = [message(start, end).content(first_row + start, first_row + end - 1) for start, end in pairwise(places)]
    whole = message(0, len(readable))
    last_row = first_row + len(readable) - 1
    joined = (b"".join(part.readable for part in parts), b"".join(part.unreadable for part in parts))
    assert joined == tuple(whole.content(first_row, last_row))
    again = [whole.content(row, row) for row in range(first_row, last_row + 1)]
    assert joined == (b"".join(part.readable for part in again), b"".join(part.unreadable for part in again))


# --- headers


def header(**fields: object) -> LimitBatchHeaderMessage:
    given_fields = {"batch_id": "b1", "source": "s", "model_version": "2.1", "mode": LIMIT_BATCH_MODE_PREVIEW} | fields
    message = LimitBatchHeaderMessage(**given_fields)  # type: ignore[arg-type]  # fields by name
    if not message.HasField("as_of"):
        message.as_of.seconds = 1000
        message.as_of.nanos = 5_999_999
    return message


def test_a_header() -> None:
    parsed = parse_header(header(all_or_nothing=True, create_accounts=True))
    assert parsed == LimitBatchHeader("b1", "s", "2.1", 1_000_005, LimitBatchMode.PREVIEW, True, True)  # noqa: FBT003


def test_a_wrong_header_names_every_field() -> None:
    message = header(batch_id="", source="a b", model_version="v" * 65, mode=9)
    message.as_of.seconds = int(time.time()) + 86_400 + 60
    with pytest.raises(CreditError) as caught:
        parse_header(message)
    assert {each.field: each.description for each in caught.value.violations} == {
        "header.batch_id": "must be 1 to 128 characters of [A-Za-z0-9._:/@-], was empty",
        "header.source": "must be at most 64 characters of [A-Za-z0-9._:/@-], was 'a b'",
        "header.model_version": "must be at most 64 characters, had 65",
        "header.as_of": "must be at most a day ahead of the clock",
        "header.mode": "must be one of APPLY, STAGE, PREVIEW, was 9",
    }


def test_a_header_without_its_instant() -> None:
    message = header()
    message.ClearField("as_of")
    with pytest.raises(CreditError) as caught:
        parse_header(message)
    assert caught.value.message == "header.as_of must be set"


# --- what people decide


def fields_of(call: Callable[[], object]) -> list[str]:
    with pytest.raises(CreditError) as caught:
        call()
    return [each.field for each in caught.value.violations]


def test_force_needs_who_and_why() -> None:
    calm = ActivateLimitBatchRequest(batch_id="b1")
    assert parse_activate_limit_batch(calm) == Activation("", "")
    forced = ActivateLimitBatchRequest(batch_id="b1", force=True, actor="ann", comment="sure")
    assert parse_activate_limit_batch(forced) == Activation("ann", "sure", force=True)
    bare = ActivateLimitBatchRequest(batch_id="", force=True)
    assert fields_of(lambda: parse_activate_limit_batch(bare)) == ["batch_id", "actor", "comment"]
    long = ActivateLimitBatchRequest(batch_id="b1", actor="a" * 129, comment="c" * 501)
    assert fields_of(lambda: parse_activate_limit_batch(long)) == ["actor", "comment"]


def test_cancelling_needs_who_and_taking_back_who_and_why() -> None:
    check_cancel_limit_batch(CancelLimitBatchRequest(batch_id="b1", actor="ann"))
    assert fields_of(lambda: check_cancel_limit_batch(CancelLimitBatchRequest())) == ["batch_id", "actor"]
    check_rollback_limit_batch(RollbackLimitBatchRequest(batch_id="b1", actor="ann", comment="wrong"))
    assert fields_of(lambda: check_rollback_limit_batch(RollbackLimitBatchRequest())) == [
        "batch_id",
        "actor",
        "comment",
    ]


def test_which_batches_are_listed() -> None:
    assert parse_get_limit_batch(GetLimitBatchRequest(batch_id="b1")) == "b1"
    assert fields_of(lambda: parse_get_limit_batch(GetLimitBatchRequest())) == ["batch_id"]
    two = [LIMIT_BATCH_STATE_STAGED, LIMIT_BATCH_STATE_QUARANTINED]
    listing = parse_list_limit_batches(ListLimitBatchesRequest(states=two, page_size=5, page_token="t"))  # noqa: S106 - no secret
    assert listing.states == {LimitBatchState.STAGED, LimitBatchState.QUARANTINED}
    assert (listing.page_size, listing.page_token) == (5, "t")
    everything = ListLimitBatchesRequest(states=[LIMIT_BATCH_STATE_STAGED, LIMIT_BATCH_STATE_UNSPECIFIED])
    assert parse_list_limit_batches(everything).states == frozenset()
    wrong = ListLimitBatchesRequest.FromString(bytes((0x0A, 2, 2, 77)))  # a state that this release does not know
    wrong.MergeFrom(ListLimitBatchesRequest(page_size=1001, page_token="t" * 513))
    assert fields_of(lambda: parse_list_limit_batches(wrong)) == ["states[1]", "page_size", "page_token"]
