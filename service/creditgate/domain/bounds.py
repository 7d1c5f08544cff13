"""Every bound of the contract, in one place. Proto comments, error texts and Lua are held to these."""

from datetime import date
from typing import Final

AMOUNT_MAX_MINOR: Final = 2**53 - 1
"""Largest amount and largest sum, in minor units: the atomic part computes in doubles, which are exact up to here."""

ID_LENGTH_MAX: Final = 128
SOURCE_LENGTH_MAX: Final = 64
RISK_CLASS_LENGTH_MAX: Final = 32
DISPLAY_NAME_LENGTH_MAX: Final = 200
BLOCK_REASON_LENGTH_MAX: Final = 500
BLOCK_ACTOR_LENGTH_MAX: Final = 128
RELEASE_REASON_LENGTH_MAX: Final = 200

GROUP_CURRENCIES_MAX: Final = 16
"""Most currencies in which a group's accounts may be kept: each is converted when an order of the group is decided."""

RATES_MAX: Final = 500
"""Most rates in one `PutExchangeRates`."""

RATE_DIGITS_MAX: Final = 12
RATE_DECIMALS_MAX: Final = 10

BATCH_SIZE_MAX: Final = 1000
"""Most orders in one `BatchReserveCredit`."""

CALL_OPERATIONS_MAX: Final = 128
"""Most operations in one call of the store: more would keep Redis from serving others for milliseconds."""

MESSAGE_SIZE_MAX_BYTES: Final = 1024 * 1024
"""Largest request: a full batch of orders with the longest ids takes half of it."""

PAGE_SIZE_DEFAULT: Final = 100
PAGE_SIZE_MAX: Final = 1000
PAGE_TOKEN_LENGTH_MAX: Final = 512

VERIFIED_ACCOUNTS_MAX: Final = 100
"""Most accounts that one `VerifyAccounts` names."""

SECONDS_PER_HOUR: Final = 3600
SECONDS_PER_DAY: Final = 86_400
RETENTION_DEFAULT_S: Final = 7 * SECONDS_PER_DAY
"""How long ended orders, and the ids that make calls repeatable, are kept."""
HOLD_DEFAULT_S: Final = 30 * SECONDS_PER_DAY
HOLD_MAX_S: Final = 400 * SECONDS_PER_DAY
SECOND_MAX: Final = 2**32 - 1
"""The last second, counted from 1970, that limits, blocks and rates may end at: in the year 2106."""

DUE_DATE_MIN: Final = date(1970, 1, 2)
DUE_DATE_MAX: Final = date(2999, 12, 31)
PAYMENT_TERMS_DAYS_MAX: Final = 3650

MODEL_VERSION_LENGTH_MAX: Final = 64
LIMIT_REASONS_MAX: Final = 5
LIMIT_REASON_LENGTH_MAX: Final = 100
BATCH_ACTOR_LENGTH_MAX: Final = 128
BATCH_COMMENT_LENGTH_MAX: Final = 500
LIMIT_UPDATES_MAX: Final = 1000
"""Most rows in one message of `PushLimits`."""

AS_OF_AHEAD_MAX_S: Final = SECONDS_PER_DAY
"""How far ahead of the clock a limit batch may have been scored."""

SUM_TOLD_MAX_MINOR: Final = 2**63 - 1
"""Where sums over many accounts are cut off that are only told: the end of an int64."""
