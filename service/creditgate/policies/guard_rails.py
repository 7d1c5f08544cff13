"""The guard rails of the policy file: each is off, or says from where on a batch of limits waits for a person."""

from typing import Annotated, Final, TypeAlias

from pydantic import BeforeValidator, PlainSerializer

from creditgate.domain.policy import BASIS_POINTS, DEFAULT_GUARD_RAILS, AccountsCut, GuardRails
from creditgate.policies.values import OFF, Part, Share, empty_if_absent, percent, was, write_percent

FACTOR_MIN: Final = 2
FACTOR_MAX: Final = 1_000_000
DUPLICATES_MAX: Final = 1_000_000_000


def _count_or_off(least: int, most: int) -> BeforeValidator:
    def read(value: object) -> int | None:
        if value == OFF:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise ValueError(f"must be a whole number from {least} to {most}, or {OFF}, {was(value)}")
        return value

    return BeforeValidator(read)


def _read_rail_switch(value: object) -> bool:
    if value == OFF:
        return False
    if not isinstance(value, bool):
        raise ValueError(f"must be true or off, {was(value)}")  # noqa: TRY004 - pydantic reports ValueError
    return value


def _none_if_off(value: object) -> object:
    return None if value == OFF else empty_if_absent(value)


def _write_cut(value: "_AccountsCut | None") -> object:
    return OFF if value is None else value.model_dump(mode="json")


_percent_or_off_writer: Final = PlainSerializer(lambda value: OFF if value is None else write_percent(value))
_count_or_off_writer: Final = PlainSerializer(lambda value: OFF if value is None else value)

_OffOrMultiple: TypeAlias = Annotated[int | None, percent(10 * BASIS_POINTS, or_off=True), _percent_or_off_writer]
_OffOrShare: TypeAlias = Annotated[int | None, percent(BASIS_POINTS, or_off=True), _percent_or_off_writer]
_OffOrFactor: TypeAlias = Annotated[int | None, _count_or_off(FACTOR_MIN, FACTOR_MAX), _count_or_off_writer]
_OffOrCount: TypeAlias = Annotated[int | None, _count_or_off(0, DUPLICATES_MAX), _count_or_off_writer]
_RailSwitch: TypeAlias = Annotated[
    bool, BeforeValidator(_read_rail_switch), PlainSerializer(lambda value: value or OFF)
]


class _AccountsCut(Part):
    """The share of the accounts that may be cut by more than a share of their limit."""

    cut_over: Share = AccountsCut().cut_over_bps
    share: Share = AccountsCut().share_bps


class GuardRailsPart(Part):
    """What holds a batch of limits back until a person has looked at it."""

    accounts_cut: Annotated[_AccountsCut | None, BeforeValidator(_none_if_off), PlainSerializer(_write_cut)] = (
        _AccountsCut()
    )
    total_change: _OffOrMultiple = DEFAULT_GUARD_RAILS.total_change_bps
    single_raise_factor: _OffOrFactor = DEFAULT_GUARD_RAILS.single_raise_factor
    row_count_change: _OffOrMultiple = DEFAULT_GUARD_RAILS.row_count_change_bps
    unknown_accounts: _OffOrShare = DEFAULT_GUARD_RAILS.unknown_accounts_bps
    wrong_rows: _OffOrShare = DEFAULT_GUARD_RAILS.wrong_rows_bps
    duplicate_rows: _OffOrCount = DEFAULT_GUARD_RAILS.duplicate_rows
    as_of_backwards: _RailSwitch = DEFAULT_GUARD_RAILS.as_of_backwards
    model_version_backwards: _RailSwitch = DEFAULT_GUARD_RAILS.model_version_backwards

    def compiled(self) -> GuardRails:
        """Return the rails as the domain knows them."""
        cut = self.accounts_cut
        return GuardRails(
            accounts_cut=AccountsCut(cut.cut_over, cut.share) if cut is not None else None,
            total_change_bps=self.total_change,
            single_raise_factor=self.single_raise_factor,
            row_count_change_bps=self.row_count_change,
            unknown_accounts_bps=self.unknown_accounts,
            wrong_rows_bps=self.wrong_rows,
            duplicate_rows=self.duplicate_rows,
            as_of_backwards=self.as_of_backwards,
            model_version_backwards=self.model_version_backwards,
        )
