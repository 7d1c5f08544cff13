"""What is wrong with rows of a limit batch that only the accounts, or the other rows, tell."""

from creditgate.domain.limit_batch import LimitRow, LimitRowError, LimitRowErrorReason


def unknown_account(row: int, account_id: str) -> LimitRowError:
    """Return the error of a row whose account does not exist."""
    message = "names an account that does not exist, and the header does not ask to create it"
    return LimitRowError(row, account_id, "account_id", LimitRowErrorReason.UNKNOWN_ACCOUNT, message)


def currency_mismatch(row: int, account_id: str, currency_code: str) -> LimitRowError:
    """Return the error of a row in another currency than its account's, which is `currency_code`."""
    message = f"must be {currency_code}, the currency of the account"
    return LimitRowError(row, account_id, "currency_code", LimitRowErrorReason.CURRENCY_MISMATCH, message)


def duplicate_account(row: LimitRow, first_row: int) -> LimitRowError:
    """Return the error of a row whose account another row has named before."""
    message = f"names an account that row {first_row} names already; that row counts"
    return LimitRowError(row.row, row.account_id, "account_id", LimitRowErrorReason.DUPLICATE_ACCOUNT, message)
