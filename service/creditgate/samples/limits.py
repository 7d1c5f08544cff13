"""Sample limits: three nights of a scorer. The second changes some while orders run, the third would halve too many."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from random import Random
from typing import Final, NamedTuple

from creditgate.domain.limit_batch import LimitBatchHeader, LimitBatchMode, LimitRow
from creditgate.samples.accounts import SEED, SampleAccount

_SOURCE: Final = "sample-scorer"
_NIGHTS: Final = (
    datetime(2026, 1, 5, 2, tzinfo=UTC),
    datetime(2026, 3, 2, 2, tzinfo=UTC),
    datetime(2026, 4, 6, 2, tzinfo=UTC),
)
_MODEL_VERSIONS: Final = ("1.0", "1.1", "1.2")
_SHARE_RAISED: Final = 0.25
_SHARE_LOWERED: Final = 0.08
_SHARE_HALVED: Final = 0.4
_MS_PER_S: Final = 1000


class SampleBatch(NamedTuple):
    """What the scorer sends in a night, and when, in the samples' local time."""

    time: datetime
    header: LimitBatchHeader
    rows: tuple[LimitRow, ...]


def sample_batches(accounts: Sequence[SampleAccount], seed: int = SEED) -> tuple[SampleBatch, ...]:
    """Return the batches, in the order of time. Each names every customer that has a limit from the scorer."""
    random = Random(seed)  # noqa: S311 - samples, no secrets
    judged = [(each.settings.account_id, each.settings.currency_code) for each in accounts if each.limit_minor]
    first = [each.limit_minor for each in accounts if each.limit_minor]
    second = list(_changed(random, first))
    third = list(_halved(random, second))
    return tuple(
        _batch(night, f"sample-limits-{seed}-{night + 1}", judged, limits)
        for night, limits in enumerate((first, second, third))
    )


def _changed(random: Random, limits: Sequence[int]) -> Iterator[int]:
    for limit_minor in limits:
        drawn = random.random()
        if drawn < _SHARE_RAISED:
            yield limit_minor * random.randrange(110, 150) // 100
        elif drawn < _SHARE_RAISED + _SHARE_LOWERED:
            yield limit_minor * random.randrange(70, 95) // 100
        else:
            yield limit_minor


def _halved(random: Random, limits: Sequence[int]) -> Iterator[int]:
    unlucky = set(random.sample(range(len(limits)), round(_SHARE_HALVED * len(limits))))
    for number, limit_minor in enumerate(limits):
        yield limit_minor // 2 if number in unlucky else limit_minor


def _batch(night: int, batch_id: str, judged: Sequence[tuple[str, str]], limits: Sequence[int]) -> SampleBatch:
    time = _NIGHTS[night]
    header = LimitBatchHeader(
        batch_id, _SOURCE, _MODEL_VERSIONS[night], int(time.timestamp()) * _MS_PER_S, LimitBatchMode.APPLY
    )
    rows = (
        LimitRow(row, account_id, limit_minor, currency_code, version=int(time.timestamp()))
        for row, ((account_id, currency_code), limit_minor) in enumerate(zip(judged, limits, strict=True), start=1)
    )
    return SampleBatch(time.replace(tzinfo=None), header, tuple(rows))
