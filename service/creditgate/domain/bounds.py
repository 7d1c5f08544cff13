"""Every bound of the contract, in one place. Proto comments, error texts and Lua are held to these."""

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

BATCH_SIZE_MAX: Final = 1000
"""Most orders in one `BatchReserveCredit`."""

CALL_OPERATIONS_MAX: Final = 128
"""Most operations in one call of the store: more would keep Redis from serving others for milliseconds."""

PAGE_SIZE_DEFAULT: Final = 100
PAGE_SIZE_MAX: Final = 1000
PAGE_TOKEN_LENGTH_MAX: Final = 512

SECONDS_PER_DAY: Final = 86_400
HOLD_DEFAULT_S: Final = 30 * SECONDS_PER_DAY
HOLD_MAX_S: Final = 400 * SECONDS_PER_DAY
PAYMENT_TERMS_DAYS_MAX: Final = 3650
