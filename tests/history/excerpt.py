"""The part of a history that shows what a violation is about."""

from collections.abc import Iterable, Sequence
from typing import Final

from tests.history.calls import NS_PER_MS, Call
from tests.history.causes import subjects_of_call, subjects_of_effect
from tests.history.readings import JournaledEffect
from tests.history.words import effect_words, end_words, request_words

_LINES_MAX: Final = 24
_BEFORE: Final = 3
"""Effects of the account that are shown before the violation, whatever they are about."""


def excerpt(calls: Iterable[Call], effects: Sequence[JournaledEffect], at_ms: int, subjects: frozenset[str]) -> str:
    """Return the calls and effects about the same orders, documents and payments, in the order of time.

    Times are seconds before (-) and after the violation, by the store's clock.
    """
    lines = [(call.begun_ms, _line_of_call(call, at_ms)) for call in calls if subjects_of_call(call.request) & subjects]
    earlier = [index for index, effect in enumerate(effects) if effect.entry_ms < at_ms][-_BEFORE:]
    lines += [
        (effect.entry_ms, _line_of_effect(effect, at_ms))
        for index, effect in enumerate(effects)
        if index in earlier or subjects_of_effect(effect) & subjects
    ]
    nearest = sorted(lines, key=lambda line: abs(line[0] - at_ms))[:_LINES_MAX]
    return "\n".join(text for _, text in sorted(nearest, key=lambda line: line[0]))


def _seconds(time_ms: int, at_ms: int) -> str:
    return f"{(time_ms - at_ms) / 1000:+9.3f}"


def _line_of_call(call: Call, at_ms: int) -> str:
    took = ""
    if call.ended is not None:
        took = f" after {(call.ended.monotonic_ns - call.begun.monotonic_ns) // NS_PER_MS} ms"
    return f"{_seconds(call.begun_ms, at_ms)}  {call.client}: {request_words(call.request)}{took}: {end_words(call)}"


def _line_of_effect(effect: JournaledEffect, at_ms: int) -> str:
    return f"{_seconds(effect.entry_ms, at_ms)}  journal {effect.entry_id}: {effect_words(effect.happened)}"
