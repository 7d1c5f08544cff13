"""Follows the journal of one account, and finds for every effect its call and for every answer its reason."""

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from creditgate.store.constants import EffectKind
from tests.history.account import ExpectedAccount
from tests.history.calls import Call, Fault, Listing
from tests.history.causes import (
    Cause,
    cause_of_call,
    cause_of_effect,
    may_have_effect,
    must_have_effect,
    subjects_of_call,
    subjects_of_effect,
)
from tests.history.expected import expect
from tests.history.readings import (
    MS_PER_S,
    AnswerReading,
    Happened,
    JournaledEffect,
    Refused,
    read_answer,
)
from tests.history.words import differences, effect_words, end_words, request_words

_BEGINNING_MS: Final = 0
_END_MS: Final = 1 << 62
_ADDING: Final = frozenset({EffectKind.RESERVED, EffectKind.AMENDED})


class ViolationError(Exception):
    """What the journal of an account does not explain.

    Attributes:
        what: in words.
        at_ms: about when, by the store's clock.
        subjects: the orders, documents and payments that it is about.

    """

    def __init__(self, what: str, at_ms: int, subjects: Iterable[str]) -> None:
        super().__init__(what)
        self.what = what
        self.at_ms = at_ms
        self.subjects = frozenset(subjects)


@dataclass(slots=True)
class Tally:
    """What was checked: calls, effects by their kind, and answers that tell of no effect by theirs."""

    calls: int = 0
    unanswered: int = 0
    unanswered_with_effect: int = 0
    effects: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Tally") -> None:
        """Count another one's in."""
        self.calls += other.calls
        self.unanswered += other.unanswered
        self.unanswered_with_effect += other.unanswered_with_effect
        self.effects += other.effects
        self.answers += other.answers


class AccountCheck:
    """The check of one account; both calls and effects are in their order.

    `caused` maps each call to the effect that it had, as far as the check has come.
    """

    def __init__(self, calls: Sequence[Call], effects: Sequence[JournaledEffect], slack_ms: int) -> None:
        self._calls = calls
        self._effects = effects
        self._slack_ms = slack_ms
        self._account = ExpectedAccount()
        self._answers: dict[Call, AnswerReading] = {
            call: read_answer(call.answer) for call in calls if call.answer is not None and not call.unanswered
        }
        self._asked: defaultdict[Cause, list[Call]] = defaultdict(list)
        for call in calls:
            self._asked[cause_of_call(call.request)].append(call)
        # Answers that an instant without an effect may explain, before and while it may.
        self._explained = {call for call in calls if isinstance(call.answer, Fault) and call.answer.turned_away}
        self._coming = deque(
            call
            for call, answer in self._answers.items()
            if call not in self._explained and not must_have_effect(answer)
        )
        self._open: list[Call] = []
        self._instead: dict[Call, AnswerReading] = {}
        self.caused: dict[Call, JournaledEffect] = {}

    def run(self) -> None:
        """Check everything.

        Raises:
            ViolationError: something is not explained.

        """
        since_ms = _BEGINNING_MS
        for effect in self._effects:
            first_ms, last_ms = self._span_of(effect, since_ms)
            self._explain(since_ms, last_ms)
            self._account.take(self._follow(effect))
            since_ms = first_ms
        self._explain(since_ms, _END_MS)
        for call, answer in self._answers.items():
            if call not in self.caused and must_have_effect(answer):
                raise self._of_call("was answered, but its effect is not in the journal", call)
            if call not in self.caused and call not in self._explained:
                raise self._unexplained(call)

    def compare_listing(self, listing: Listing) -> None:
        """Check that an account's orders are all listed; what is listed was compared like any other reading.

        Raises:
            ViolationError: an order is missing.

        """
        missing = self._account.orders.keys() - listing.order_ids
        if missing:
            msg = f"orders {sorted(missing)} are in the journal and not listed"
            raise ViolationError(msg, self._calls[-1].begun_ms, sorted(missing)[:1])

    def tally(self) -> Tally:
        """Return what was checked so far."""
        unanswered = [call for call in self._calls if call.unanswered]
        unchanging = [answer for answer in self._answers.values() if not may_have_effect(answer)]
        return Tally(
            len(self._calls),
            len(unanswered),
            sum(call in self.caused for call in unanswered),
            Counter(effect.effect.kind.name for effect in self._effects),
            Counter(each.reason if isinstance(each, Refused) else type(each).__name__ for each in unchanging),
        )

    # --- effects

    def _span_of(self, effect: JournaledEffect, since_ms: int) -> tuple[int, int]:
        """Return the first and the last instant at which an effect may have taken place."""
        if effect.effect.kind is not EffectKind.EXPIRED:
            return effect.effect.time_ms, effect.effect.time_ms
        # A settled hold is journaled at its own time; its record has the second in which that was done.
        begin_ms = effect.update_s * MS_PER_S
        return max(since_ms, begin_ms), max(begin_ms, min(begin_ms + MS_PER_S - 1, effect.entry_ms))

    def _follow(self, effect: JournaledEffect) -> Happened:
        """Return what an effect did, after finding it right and its call."""
        if effect.happened.kind is EffectKind.EXPIRED:
            return self._follow_settled(effect)
        happened, now_ms = effect.happened, effect.effect.time_ms
        asked = [call for call in self._asked[cause_of_effect(effect)] if call not in self.caused]
        if not asked:
            raise self._of_effect("was asked for by nobody, or had been done before", effect)
        under_way = [call for call in asked if self._may_have_done(call, now_ms)]
        if not under_way:
            raise self._of_effect("took place when no call that asks for it was under way", effect)
        expected = [(call, expect(self._account, call.request, now_ms)) for call in under_way]
        following = [(call, answer) for call, (answer, wanted) in expected if wanted == happened]
        if not following:
            raise self._of_effect("does not follow from the state before it", effect, expected[0][1].happened)
        fitting = [call for call, answer in following if self._answers.get(call, answer) == answer]
        if not fitting:
            call, answer = following[0]
            raise self._of_call("was not answered as its effect wants", call, answer)
        # Of calls that fit alike, the ones that were answered need the effect more.
        self.caused[min(fitting, key=lambda call: call.unanswered)] = effect
        self._check_limit(effect)
        return happened

    def _follow_settled(self, effect: JournaledEffect) -> Happened:
        """Return what the sweeper did, after finding it right: nobody asks for that."""
        settled = self._account.settle(effect.happened.name, effect.update_s)
        if settled is None:
            raise self._of_effect("settles a hold whose time was not over", effect)
        if settled != effect.happened:
            raise self._of_effect("does not follow from the state before it", effect, settled)
        if settled.order is None or effect.effect.time_ms != settled.order.expire_s * MS_PER_S:
            raise self._of_effect("is not journaled at the hold's own time", effect)
        return settled

    def _may_have_done(self, call: Call, now_ms: int) -> bool:
        """Return whether a call may have had an effect at an instant; one without an answer may do so for ever."""
        if now_ms < call.begun_ms - self._slack_ms:
            return False
        return call.unanswered or (may_have_effect(self._answers[call]) and now_ms <= call.ended_ms + self._slack_ms)

    def _check_limit(self, effect: JournaledEffect) -> None:
        """Check once more, by the journal's own sums, that what adds exposure stays within the limit."""
        account, sums = self._account, effect.happened.sums
        if sums is None or account.unlimited or account.limit_minor is None or effect.effect.kind not in _ADDING:
            return
        adds = sums.reserved_minor > account.reserved_minor(effect.effect.time_ms // MS_PER_S)
        if adds and sums.reserved_minor + max(0, sums.receivable_minor) > account.limit_minor:
            raise self._of_effect(f"passes the limit of {account.limit_minor}", effect)

    # --- answers without an effect

    def _explain(self, since_ms: int, until_ms: int) -> None:
        """Find which answers the present state explains; it was there from one instant to another."""
        while self._coming and self._coming[0].begun_ms - self._slack_ms <= until_ms:
            self._open.append(self._coming.popleft())
        still_open = []
        for call in self._open:
            if call.ended_ms + self._slack_ms < since_ms:
                if not may_have_effect(self._answers[call]):
                    raise self._unexplained(call)
            elif self._is_explained(call, since_ms, until_ms):
                self._explained.add(call)
            else:
                still_open.append(call)
        self._open = still_open

    def _is_explained(self, call: Call, since_ms: int, until_ms: int) -> bool:
        first_ms = max(since_ms, call.begun_ms - self._slack_ms)
        last_ms = min(until_ms, call.ended_ms + self._slack_ms)
        if first_ms > last_ms:
            return False
        # Within a state, only a new second can make a difference.
        seconds = range(first_ms // MS_PER_S + 1, last_ms // MS_PER_S + 1)
        for now_ms in (first_ms, *(second * MS_PER_S for second in seconds)):
            expected = expect(self._account, call.request, now_ms)
            if expected == (self._answers[call], None):
                return True
            self._instead[call] = expected.answer
        return False

    # --- words

    def _unexplained(self, call: Call) -> ViolationError:
        return self._of_call("has an answer that no state of its time explains", call, self._instead.get(call))

    def _of_effect(self, what: str, effect: JournaledEffect, wanted: Happened | None = None) -> ViolationError:
        wrong = [f"    {each}" for each in differences(effect.happened, wanted)] if wanted is not None else []
        text = "\n".join([f"effect {effect.entry_id} {what}", f"    {effect_words(effect.happened)}", *wrong])
        return ViolationError(text, effect.entry_ms, subjects_of_effect(effect))

    def _of_call(self, what: str, call: Call, wanted: AnswerReading | None = None) -> ViolationError:
        wrong = [f"    {each}" for each in differences(self._answers[call], wanted)] if wanted is not None else []
        text = "\n".join([f"call {what}", f"    {request_words(call.request)}: {end_words(call)}", *wrong])
        return ViolationError(text, call.begun_ms, subjects_of_call(call.request))
