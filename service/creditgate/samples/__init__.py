"""Plausible customers and their orders, made up from a seed: the same seed always gives the same."""

from creditgate.samples.accounts import SampleAccount, sample_accounts
from creditgate.samples.limits import SampleBatch, sample_batches
from creditgate.samples.orders import SampleStep, sample_steps

__all__ = ["SampleAccount", "SampleBatch", "SampleStep", "sample_accounts", "sample_batches", "sample_steps"]
