"""Etags as callers carry them."""

import pytest

from creditgate.api.etag import parse_etag, render_etag
from creditgate.domain.reservation import Etag

LARGEST = Etag(2**48 - 1, 2**32 - 1)


@pytest.mark.parametrize("etag", [Etag(0, 1), Etag(1_795_382_748_034, 1), Etag(1_795_382_748_034, 2**28), LARGEST])
def test_an_etag_that_was_given_out_is_the_state_that_it_names(etag: Etag) -> None:
    assert parse_etag(render_etag(etag)) == etag


def test_states_have_different_etags() -> None:
    states = [Etag(time_ms, revision) for time_ms in (0x1, 0x11, 0x111) for revision in (0x1, 0x11, 0x111)]
    assert len({render_etag(state) for state in states}) == len(states)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "1",
        "1.",
        ".1",
        "1.1.1",
        "1-1",
        "-1.1",
        "1.-1",
        " 1.1",
        "1.1\n",
        "g.1",
        "A.1",
        "1.A",
        "1_0.1",
        "1.0",
        "1.01",
        "01.1",
        "1" * 13 + ".1",
        "1." + "1" * 9,
        "٣.1",
    ],
)
def test_texts_that_are_no_etags(text: str) -> None:
    assert parse_etag(text) is None
