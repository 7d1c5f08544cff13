"""The limit feed's engine: receives batches, measures them, judges them, puts them in force and takes them back."""

from creditgate.limit_feed.activation import Activation
from creditgate.limit_feed.feed import LimitFeed
from creditgate.limit_feed.finisher import Finisher
from creditgate.limit_feed.observer import LimitFeedObserver, Step
from creditgate.limit_feed.receiver import ParsedRows, Receiver, SentRows
from creditgate.limit_feed.resumer import Resumer
from creditgate.limit_feed.rows_digest import RowsContent

__all__ = [
    "Activation",
    "Finisher",
    "LimitFeed",
    "LimitFeedObserver",
    "ParsedRows",
    "Receiver",
    "Resumer",
    "RowsContent",
    "SentRows",
    "Step",
]
