import pytest

from benchmarks.rows import Row, Target, against


def row(name: str, *samples: float) -> Row:
    return Row(group="g", name=name, unit="decisions/s", figure=samples[0], samples=samples)


def test_a_ratio_is_the_median_within_the_rounds() -> None:
    # The machine got slower from round to round: the medians of the figures alone would say 1.
    baseline = row("theirs", 100, 50, 10)
    assert against(row("ours", 50, 100, 40), baseline).ratio == 2


@pytest.mark.parametrize(
    ("target", "missed"),
    [
        (Target("ratio", "at least", 0.5), False),
        (Target("ratio", "at least", 0.51), True),
        (Target("figure", "at most", 50), False),
        (Target("figure", "at most", 49), True),
    ],
)
def test_a_target_is_reached_at_its_value(target: Target, *, missed: bool) -> None:
    compared = against(row("ours", 50), row("theirs", 100), target)
    assert compared.missed == ((target,) if missed else ())


def test_what_was_not_measured_misses_nothing() -> None:
    assert not Row(group="g", name="n", unit="u", targets=(Target("ratio", "at least", 1),)).missed
