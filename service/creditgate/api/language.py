"""The language that a caller wants to read."""

from typing import Final

from creditgate.api.context import CallContext
from creditgate.api.reason_texts import CHINESE, ENGLISH, Language

LANGUAGE_KEY: Final = "accept-language"
"""Metadata under which a caller says what it reads, as HTTP does: `zh-CN, en;q=0.8`."""

_LANGUAGES: Final = {"en": ENGLISH, "zh": CHINESE}


def language_of(context: CallContext) -> Language:
    """Return the language that the caller likes best among those there are; English without one."""
    wanted = context.metadata(LANGUAGE_KEY)
    return _best_of(wanted) if wanted else ENGLISH


def _best_of(wanted: str) -> Language:
    best, best_quality = ENGLISH, 0.0
    for item in wanted.split(","):
        name, _, parameter = item.partition(";")
        language = _LANGUAGES.get(name.strip().partition("-")[0].lower())
        quality = _quality(parameter)
        if language is not None and quality > best_quality:
            best, best_quality = language, quality
    return best


def _quality(parameter: str) -> float:
    """Return a weight as `q=0.8` says it; 1 without one, 0 for one that can't be read."""
    if not parameter.strip():
        return 1.0
    _, _, value = parameter.partition("=")
    try:
        return float(value)
    except ValueError:
        return 0.0
