from hypothesis import given
from hypothesis import strategies as st

from creditgate.replay.latency import LatencyHistogram


def test_nothing_added_is_zero() -> None:
    figures = LatencyHistogram().figures()
    assert (figures.count, figures.p50_s, figures.p99_s, figures.max_s) == (0, 0, 0, 0)


@given(st.lists(st.integers(min_value=0, max_value=10**9), min_size=1, max_size=300))
def test_percentiles_are_within_two_percent_above_the_true_ones(latencies_us: list[int]) -> None:
    histogram = LatencyHistogram()
    for latency_us in latencies_us:
        histogram.add(latency_us / 1_000_000)
    figures = histogram.figures()
    ranked = sorted(latencies_us)
    for share_percent, percentile_s in ((50, figures.p50_s), (90, figures.p90_s), (99, figures.p99_s)):
        true_us = ranked[-(-len(ranked) * share_percent // 100) - 1]
        assert true_us <= round(percentile_s * 1_000_000) <= true_us * 1.016 + 1
    assert figures.count == len(ranked)
    assert round(figures.max_s * 1_000_000) == ranked[-1]


def test_memory_stays_bounded() -> None:
    histogram = LatencyHistogram()
    for exponent in range(4000):
        histogram.add(1.01**exponent / 1_000_000)
    assert len(histogram._counts) < 64 * 32  # noqa: SLF001 - the bound is what is tested
    assert histogram.figures().max_s == 3600
