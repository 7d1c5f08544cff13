"""A stream's messages, and how a stream is ended from this side."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.server.open_streams import OpenStream, OpenStreams
from tests.complaints import no_complaints

READ_AHEAD = 16


@pytest.fixture(autouse=True)
async def quiet() -> AsyncIterator[None]:
    async with no_complaints():
        yield


class BrokenConnectionError(Exception):
    """Reading ends with it."""


class Client:
    """Sends so many messages, then waits until it is told to go on, then sends one more, or breaks."""

    def __init__(self, count: int) -> None:
        self.read = 0
        self.go_on = asyncio.Event()
        self.breaks = False
        self.sends_more = False
        self._count = count

    async def messages(self) -> AsyncIterator[bytes]:
        for number in range(self._count):
            self.read += 1
            yield str(number).encode()
        await self.go_on.wait()
        if self.breaks:
            raise BrokenConnectionError
        if self.sends_more:
            yield b"more"


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(50):
        await asyncio.sleep(0)


async def taken_of(stream: OpenStream) -> list[bytes]:
    """Take all messages; the reason of the error behind them comes last, if there is one."""
    taken = []
    try:
        async for message in stream.messages():
            taken.append(message)  # noqa: PERF401 - what came before an error stays
    except CreditError as error:
        taken.append(error.reason.name.encode())
    return taken


def numbers(count: int) -> list[bytes]:
    return [str(number).encode() for number in range(count)]


async def test_messages_come_to_the_end_of_the_stream() -> None:
    client = Client(100)
    client.go_on.set()
    with OpenStreams().open(client.messages()) as stream:
        assert await taken_of(stream) == numbers(100)


async def test_the_end_of_the_messages_of_a_client_that_is_gone_is_not_told() -> None:
    client = Client(1)
    client.go_on.set()
    with OpenStreams().open(client.messages()) as stream:
        taking = asyncio.ensure_future(taken_of(stream))
        await settle()
        assert not taking.done()
        taking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await taking


async def test_messages_are_taken_as_they_come() -> None:
    client = Client(1)
    client.sends_more = True
    with OpenStreams().open(client.messages()) as stream:
        messages = stream.messages()
        assert await anext(messages) == b"0"
        waiting = asyncio.ensure_future(anext(messages))
        await settle()
        assert not waiting.done()
        client.go_on.set()
        assert await waiting == b"more"
        await messages.aclose()


async def test_few_messages_are_read_before_they_are_asked_for() -> None:
    client = Client(1000)
    with OpenStreams().open(client.messages()) as stream:
        await settle()
        assert client.read == READ_AHEAD
        messages = stream.messages()
        for taken in range(5):
            await anext(messages)
            await settle()
            assert client.read == READ_AHEAD + taken + 1
        await messages.aclose()


async def test_what_was_read_is_given_out_before_a_stream_ends_from_this_side() -> None:
    streams, client = OpenStreams(), Client(1000)
    with streams.open(client.messages()) as stream:
        await settle()
        streams.end()
        assert await taken_of(stream) == [*numbers(READ_AHEAD), b"SHUTTING_DOWN"]


async def test_who_waits_for_a_message_hears_that_the_stream_ends() -> None:
    streams, client = OpenStreams(), Client(1)
    with streams.open(client.messages()) as stream:
        taking = asyncio.ensure_future(taken_of(stream))
        await settle()
        streams.end()
        assert await asyncio.wait_for(taking, 5) == [b"0", b"SHUTTING_DOWN"]


async def test_a_stream_that_comes_after_the_end_is_not_read() -> None:
    streams, client = OpenStreams(), Client(5)
    streams.end()
    with streams.open(client.messages()) as stream:
        assert await asyncio.wait_for(taken_of(stream), 5) == [b"SHUTTING_DOWN"]
    assert client.read == 0


async def test_a_stream_that_has_come_to_its_end_is_not_ended_early() -> None:
    streams, client = OpenStreams(), Client(3)
    client.go_on.set()
    with streams.open(client.messages()) as stream:
        await settle()
        streams.end()
        assert await taken_of(stream) == numbers(3)


async def test_the_error_says_what_became_of_the_stream() -> None:
    streams = OpenStreams()
    streams.end()
    with streams.open(Client(1).messages()) as stream, pytest.raises(CreditError) as caught:
        await anext(stream.messages())
    assert caught.value.reason is ErrorReason.SHUTTING_DOWN
    assert "what it had read of the stream is answered" in caught.value.message


async def test_reading_that_fails_is_told_behind_what_was_read() -> None:
    client = Client(2)
    client.breaks = True
    client.go_on.set()
    with OpenStreams().open(client.messages()) as stream:
        messages = stream.messages()
        assert [await anext(messages), await anext(messages)] == numbers(2)
        with pytest.raises(BrokenConnectionError):
            await anext(messages)


async def test_who_leaves_early_reads_no_more_and_leaves_nothing_behind() -> None:
    for breaks in (False, True):
        client = Client(1)
        client.breaks = breaks
        with OpenStreams().open(client.messages()) as stream:
            messages = stream.messages()
            assert await anext(messages) == b"0"
            await messages.aclose()
            if breaks:
                client.go_on.set()
                await settle()
        await settle()


async def test_a_taker_that_is_cancelled_leaves_nothing_behind() -> None:
    client = Client(1)
    with OpenStreams().open(client.messages()) as stream:
        taking = asyncio.ensure_future(taken_of(stream))
        await settle()
        taking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await taking
    await settle()


async def test_all_streams_end() -> None:
    streams = OpenStreams()
    with streams.open(Client(1).messages()) as first, streams.open(Client(2).messages()) as second:
        await settle()
        streams.end()
        assert await taken_of(first) == [b"0", b"SHUTTING_DOWN"]
        assert await taken_of(second) == [b"0", b"1", b"SHUTTING_DOWN"]
