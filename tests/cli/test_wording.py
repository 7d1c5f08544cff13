"""What is wrong is told in the words of the command line: what was typed, and money."""

import pytest

from creditgate.cli.wording import as_typed
from tests.cli.conftest import Invoke


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("amount_minor must be between 1 and 500 minor units, was -5", "AMOUNT must be between 1 and 5.00 USD, was -5"),
        ("account.currency_code must be set", "the account's currency (--currency) must be set"),
        ("currency_code must be EUR", "the currency must be EUR"),
        ("pending_amount_minor is no field of a call", "pending_amount_minor is no field of a call"),
        ("order o-1 has changed since this etag was read", "order o-1 has changed since this etag was read"),
        ("etag must be empty", "--etag must be empty"),
        ("the same reason again", "the same reason again"),
        ("account my-account_id.x is closed", "account my-account_id.x is closed"),
    ],
)
def test_fields_become_options_and_minor_units_money(told: str, said: str) -> None:
    assert as_typed(told, {}, "USD") == said


def test_a_command_may_say_a_field_otherwise() -> None:
    assert as_typed("document_id must be an id", {"document_id": "--document"}) == "--document must be an id"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("check", "acme", "-500.00", "USD"), "an amount can't be below 0, was -500.00"),
        (("check", "acme", "0", "USD"), "AMOUNT must be above 0, was 0.00 USD"),
        (("pay", "acme", "p-1", "0 USD"), "AMOUNT must be above 0, was 0.00 USD"),
        (
            ("check", "acme", "10 USD", "--secured", "20 USD"),
            "--secured must be from 0 to the whole, 10.00 USD, was 20.00 USD",
        ),
        (("check", "acme", "1 USD", "-x"), "No such option: -x"),
    ],
)
def test_amounts_that_can_not_be_are_told_before_the_service_is_asked(
    offline: Invoke, words: tuple[str, ...], says: str
) -> None:
    result = offline(*words)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"creditgate: {says}")


def test_what_the_service_refuses_is_told_as_it_was_typed(creditgate: Invoke, account: str) -> None:
    assert "the account's currency (--currency) must be set" in creditgate("account", "put", f"new-{account}").stderr
    assert "--terms-days must be" in creditgate("check", account, "1 USD", "--terms-days", "9999").stderr
    assert "the currency must be USD" in creditgate("post", account, "d-1", "1 EUR").stderr
    creditgate("post", account, "d-2", "20 USD")
    differs = creditgate("post", account, "d-2", "30 USD").stderr
    assert "(another amount, another order, --final, or the other sign); it has 20.00 USD" in differs
