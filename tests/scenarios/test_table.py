"""What a table says is never ignored: it is compared, or it is an error of the table."""

from pathlib import Path

import pytest

from tests.scenarios.runner import DifferenceError, run_scenario
from tests.scenarios.scene import Stage
from tests.scenarios.table import TableError, read_table, read_tables

SET_UP = """
scenario s
    account A1 USD limit 1000
    reserve A1 o1 600 hold 60s … approved etag e1
"""


def run(stage: Stage, lines: str) -> None:
    (scenario,) = read_table(Path("s.txt"), SET_UP + lines)
    run_scenario(stage, scenario)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("account A1 USD", "stands in a scenario"),
        ("scenario", "a scenario has a name"),
        ("scenario s", "has no lines"),
        ("scenario s\nscenario t\nclose A1", "has no lines"),
        ("scenario s\nclose A1 …", "behind one …"),
        ("scenario s\n… approved", "behind one …"),
        ("scenario s\nclose A1 … CLOSED … CLOSED", "behind one …"),
        ('scenario s\nclose "A1', "No closing quotation"),
        ("scenario s\n| close A1", "stands below batch"),
        ("scenario s\nbatch\nclose A1", "stands alone"),
        ("scenario s\nbatch A1\n| close A1", "stands below batch"),
        ("scenario s\nbatch … CLOSED\n| close A1", "stands alone"),
    ],
)
def test_a_table_is_laid_out_as_the_grammar_says(text: str, error: str) -> None:
    with pytest.raises(TableError, match=error):
        read_table(Path("s.txt"), text)


def test_a_name_stands_for_one_scenario(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text(SET_UP)
    with pytest.raises(TableError, match=r"b\.txt: a\.txt has a scenario of this name too: b: s"):
        read_tables(tmp_path)


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("reserv A1 o2 1 … approved", "no verb 'reserv'"),
        ("reserve A1 o2 … approved", "an amount is missing"),
        ("reserve A1 o2 1.5 … approved", "'1.5' is not an amount"),
        ("reserve A1 o2 1 helt 60s … approved", "'helt' is not one of"),
        ("reserve A1 o2 1 hold … approved", "the value of hold is missing"),
        ("reserve A1 o2 1 hold 60s hold 60s … approved", "'hold' is not one of"),
        ("reserve A1 o2 1 hold 60 … approved", "'60' is not a duration"),
        ("reserve A1 o2 1", "reserve needs an answer"),
        ("exposure A1", "exposure needs an answer"),
        ("journal A1", "journal needs an answer"),
        ("reserve A1 o2 1 … approved helt 1", "is called 'helt'"),
        ("reserve A1 o2 1 … approved held", "the value of held is missing"),
        ("reserve A1 o2 1 … approved held 1 held 1", "held is stated twice"),
        ("reserve A1 o2 1 … approved approved", "approved is stated twice"),
        ("reserve A1 o2 1 … approved held one", "'one' is not an amount"),
        ("reserve A1 o2 1 … approved expires T+60", "'60' is not a duration"),
        ("reserve A1 o2 1 … approved expires 60s", "'60s' is not an instant"),
        ("reserve A1 o2 1001 … rejected LIMIT_PASSED", "is called 'LIMIT_PASSED'"),
        ("reserve A9 o2 1 … ACCOUNT_NOT_FOUND account A9", "only field NAME may stand"),
        ("commit A1 o1 600 d1 … ignored", "is called 'ignored'"),
        ("amend A1 o1 700 etag e2 … approved", "no answer has stated an etag e2"),
        ("account A1 status AJAR", "'AJAR' is not one of OPEN, CLOSED"),
        ("account A1 unlimited maybe", "neither yes nor no"),
        ("reservations A1 states HELT … orders o1", "'HELT' is not one of"),
        ("tick 1500ms", "not a duration of whole seconds"),
        ("tick 60s … approved", "is called 'approved'"),
        ("sweep … settled some", "'some' is not a count"),
        ("verify A1 … reserve:1/0", "is called 'reserve:1/0'"),
        ("corrupt A1 reserve 1", "no sum 'reserve'"),
        ("journal A1 … ACCOUNT_CHANGED then RESERVE o1", "no effect 'RESERVE'"),
        ("journal A1 … ACCOUNT_CHANGED then RESERVED o1 at T held 600", "is called 'held'"),
        ("keys A1 … order 1", "is called 'order'"),
        ("policy near_limit {action: flag}", "named as in a policy file, near_limit:"),
        ("policy near_limt: {action: flag}", "near_limt is not known here; did you mean near_limit"),
        ("policy near_limit: {action: flg}", "must be off, shadow, flag, review or reject, was 'flg'"),
        ("policy near_limit: {action: flag} … flagged", "is called 'flagged'"),
        ("group G1 USD limit some", "'some' is not an amount"),
        ("block A1 till T+60s", "'till' is not one of until"),
    ],
)
def test_a_word_that_nobody_knows_or_compares_is_an_error_of_the_table(stage: Stage, line: str, error: str) -> None:
    with pytest.raises(TableError, match=error):
        run(stage, line)


@pytest.mark.parametrize(
    ("line", "difference"),
    [
        ("reserve A1 o2 1 … rejected", "approved is not stated; it is not rejected"),
        ("reserve A1 o2 401 … approved", "rejected is not stated; it is not approved; it has LIMIT_EXCEEDED:1001/1000"),
        ("reserve A1 o2 401 … rejected", "it has LIMIT_EXCEEDED:1001/1000, not nothing"),
        ("reserve A1 o2 401 … rejected LIMIT_EXCEEDED:1001/999", "it has LIMIT_EXCEEDED:1001/1000, not"),
        ("reserve A1 o2 401 … rejected LIMIT_EXCEEDED ACCOUNT_BLOCKED", "it has LIMIT_EXCEEDED:1001/1000, not"),
        ("reserve A1 o2 401 … rejected LIMIT_EXCEEDED held 0", "held is nothing, not 0"),
        ("reserve A1 o2 401 … rejected LIMIT_EXCEEDED HELD", "it is not HELD"),
        ("reserve A1 o1 600 … approved", "replayed is not stated"),
        ("reserve A1 o2 1 … approved replayed", "it is not replayed"),
        ("reserve A1 o2 1 … approved held 2 secured 0 amount 3", "held is 1, not 2; amount is 1, not 3"),
        ("reserve A1 o2 1 … approved expires T+60s", r"expires is T\+2592000s, not T\+60s"),
        ("reserve A1 o1 600 … approved replayed etag e2", "etag is e1, not e2"),
        ("reserve A1 o2 1 … ACCOUNT_NOT_FOUND", "did not fail with ACCOUNT_NOT_FOUND"),
        ("reserve A9 o2 1 … approved", "it failed with ACCOUNT_NOT_FOUND"),
        ("reserve A9 o2 1 … ORDER_EXISTS_WITH_DIFFERENT_DETAILS", "it failed with ACCOUNT_NOT_FOUND"),
        ("reserve A1 o2 0 … INVALID_FIELD field secured_minor", "it failed with INVALID_FIELD field amount_minor"),
        ("close A9", "it failed with ACCOUNT_NOT_FOUND"),
        ("commit A1 o1 601 d1 … COMMITTED", "over is 1, not 0"),
        ("policy near_limit: {action: flag}\ncheck A1 400 … approved", "flagged is not stated; it is not approved"),
        ("group G1 USD limit 1 … accounts 1", "accounts is 0, not 1"),
        ("check A1 1 explain … approved passed:LIMIT_EXCEEDED:1/1", "passed:LIMIT_EXCEEDED:1/1 is not among"),
        ("exposure A1 … limit none available 400", "limit is 1000, not none"),
        ("reservations A1 … orders o1,o2", "orders is o1, not o1,o2"),
        ("sweep … settled 1", "settled is 0, not 1"),
        ("verify A1 … reserved:600/0", "clean is not stated; it has nothing, not reserved:600/0"),
        ("journal A1 … nothing", "it has ACCOUNT_CHANGED then RESERVED o1"),
        ("journal A1 … RESERVED o1", "it has 2 effects, not 1"),
        ("journal A1 … ACCOUNT_CHANGED then RESERVED o1 web", "it has RESERVED o1, not RESERVED o1 web"),
        ("journal A1 … ACCOUNT_CHANGED then RESERVED o1 at T reserved 1", "reserved is 600, not 1"),
        ("keys A1 … orders gone", "orders is 1, not gone"),
        ("batch\n| reserve A1 o2 1 … approved held 2", "held is 1, not 2"),
        ("corrupt A1 reserved 1", "the end: verify A1 … clean\n  it is not clean; it has reserved:1/600"),
    ],
)
def test_what_a_line_states_is_compared(stage: Stage, line: str, difference: str) -> None:
    with pytest.raises(DifferenceError, match=difference):
        run(stage, line)
