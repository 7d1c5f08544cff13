"""rates: from the command line and from a file."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Invoke


def test_rates_convert_orders(creditgate: Invoke, account: str) -> None:
    done = creditgate("rates", "put", "NOK", "USD", "0.1", "usd", "nok", "10")
    assert done.exit_code == 0, done.output
    assert done.output == "2 in force\n"
    assert creditgate("check", account, "10000.00 NOK").exit_code == 0
    assert creditgate("check", account, "10000.01 NOK").exit_code == 1


def test_a_file_of_rates(creditgate: Invoke, account: str, tmp_path: Path) -> None:
    file = tmp_path / "rates.csv"
    file.write_text("from;to;rate\n\nSEK;USD;0.09\nusd;sek;11.1\n")
    done = creditgate("rates", "put", file, "--until", "2099-12-31")
    assert done.output == "2 in force\n"
    assert creditgate("check", account, "100.00 SEK").exit_code == 0


def test_an_older_version_is_ignored(creditgate: Invoke) -> None:
    creditgate("rates", "put", "PLN", "USD", "0.25")
    older = creditgate("rates", "put", "PLN", "USD", "0.30", "PLN", "EUR", "0.23", "--version", "5")
    assert older.exit_code == 1
    assert older.output == "1 in force  (1 ignored: a newer version is there)\n"
    as_json = creditgate("rates", "put", "PLN", "USD", "0.30", "--version", "5", "--json")
    assert json.loads(as_json.stdout) == {"applied": 0, "ignored": 1}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("EUR", "USD"), "rates are FROM TO RATE, such as EUR USD 1.0842, or one FILE"),
        (("EUR", "USD", "1.1", "eur", "usd", "1.2"), "EUR USD is there twice"),
        (("nowhere.csv",), "creditgate: can't read nowhere.csv: No such file or directory; rates are FROM TO"),
        (("EUR", "USD", "1.1", "--version", "0"), "Invalid value for '--version'"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_what_is_no_table_of_rates(offline: Invoke, words: tuple[str, ...], told: str) -> None:
    result = offline("rates", "put", *words)
    assert result.exit_code == 2
    assert told in result.stderr


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "the file is empty: its first line must name the columns"),
        ("from,to\nEUR,USD\n", "rate"),
        ("from,to,rate\nEUR,USD\n", "line 2: has 2 fields where the header has 3"),
        ("from,to,rate\nEUR,USD,1\neur,usd,2\n", "line 3: EUR USD is there twice"),
    ],
)
def test_a_file_is_used_as_a_whole_or_not_at_all(offline: Invoke, tmp_path: Path, content: str, told: str) -> None:
    file = tmp_path / "rates.csv"
    file.write_text(content)
    result = offline("rates", "put", file)
    assert result.exit_code == 2
    assert f"{file}: " in result.stderr
    assert told in result.stderr


def test_a_rate_that_is_none(creditgate: Invoke) -> None:
    result = creditgate("rates", "put", "EUR", "USD", "1,1")
    assert result.exit_code == 2
    assert "EUR USD: rate must be a decimal number such as 1.0842, was '1,1'" in result.stderr


def test_a_pair_is_of_two_currencies(creditgate: Invoke) -> None:
    result = creditgate("rates", "put", "EUR", "USD", "1.1", "EUR", "EUR", "1")
    assert result.exit_code == 2
    assert result.stderr == "creditgate: EUR EUR: to must be another currency than the first, was 'EUR'\n"


def test_what_is_wrong_in_a_file_is_told_with_its_line(creditgate: Invoke, tmp_path: Path) -> None:
    file = tmp_path / "rates.csv"
    file.write_text("from,to,rate\nEUR,USD,1.1\n\nEUR,XXQ,1\nUSD,EUR,much\n")
    result = creditgate("rates", "put", file)
    assert result.exit_code == 2
    assert f"{file}: line 4: to must be " in result.stderr
    assert f"; {file}: line 5: rate must be a decimal number such as 1.0842, was 'much'" in result.stderr
    as_json = creditgate("rates", "put", file, "--json")
    fields = [each["field"] for each in json.loads(as_json.stderr)["error"]["violations"]]
    assert fields == [f"{file}: line 4: to", f"{file}: line 5: rate"]
