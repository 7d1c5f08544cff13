"""Etags as callers carry them."""

import pytest

from creditgate.api.etag import parse_etag, render_etag
from creditgate.domain.reservation import Etag


@pytest.mark.parametrize("etag", [Etag(1, 1), Etag(1_795_382_748_034, 16), Etag(2**48 - 1, 2**28 - 1)])
def test_an_etag_reads_as_it_was_given_out(etag: Etag) -> None:
    assert parse_etag(render_etag(etag)) == etag


@pytest.mark.parametrize("text", ["", "1", "1.", ".1", "1.1.1", "1.g", "1.1 ", "-1.1", f"{2**48:x}.1", f"1.{2**28:x}"])
def test_other_texts_are_no_etags(text: str) -> None:
    assert parse_etag(text) is None


@pytest.mark.parametrize("text", ["1.0", "1a2b.0000000"])
def test_no_etag_stands_for_one_that_is_not_compared(text: str) -> None:
    assert parse_etag(text) is None
