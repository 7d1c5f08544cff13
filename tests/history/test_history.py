"""Under load, while the service and its Redis are killed and frozen, some order of effects explains every answer."""

import itertools
import os
from pathlib import Path
from random import Random

import pytest

from tests.history.faults import BLOWS_PER_TURN, draw_blows
from tests.history.play import play
from tests.history.sites import SITES

SEED = os.environ.get("SEED", "1")
ANSWERS_BETWEEN = 80
OFTEN = {"RESERVED", "REJECTED", "AMENDED", "COMMITTED", "RELEASED", "EXPIRED", "RECORDED"}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", SITES)
def test_some_order_of_effects_explains_every_answer(kind: str, tmp_path: Path) -> None:
    seed = f"{kind}.{SEED}"
    blows = itertools.islice(draw_blows(Random(seed)), BLOWS_PER_TURN)
    with SITES[kind](tmp_path) as site:
        played = play(site, seed, blows, ANSWERS_BETWEEN)
    violations, tally = played.findings
    assert not violations, "\n\n".join([f"SEED={SEED}, {', '.join(played.blows)}", *violations])
    assert tally.effects.keys() >= OFTEN
    assert tally.unanswered > 0
