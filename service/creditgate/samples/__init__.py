"""Plausible customers and their orders, made up from a seed: the same seed always gives the same."""

from creditgate.samples.accounts import SampleAccount, sample_accounts
from creditgate.samples.orders import SampleStep, sample_steps

__all__ = ["SampleAccount", "SampleStep", "sample_accounts", "sample_steps"]
