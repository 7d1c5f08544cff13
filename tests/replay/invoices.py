"""Invoices and CSV files as the replay tests need them."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from random import Random

from creditgate.replay.csv_source import Invoice

HEADER = "customerID,invoiceNumber,InvoiceDate,DueDate,InvoiceAmount,SettledDate"
BEGIN = datetime(2013, 1, 1)  # noqa: DTZ001 - as a file has it


def invoice(number: int, amount_minor: int, day: int, paid_on: int | None = None, account_id: str = "acme") -> Invoice:
    """An invoice of a day, counted from the first, paid on another one or never."""
    return Invoice(
        line=number + 1,
        account_id=account_id,
        invoice_id=f"{number:04}",
        amount_minor=amount_minor,
        currency_code="USD",
        invoice_time=BEGIN + timedelta(days=day),
        payment_terms_days=30,
        settle_time=None if paid_on is None else BEGIN + timedelta(days=paid_on),
    )


def row(invoice: Invoice) -> str:
    """The row that reads as the invoice."""
    settled = "" if invoice.settle_time is None else f"{invoice.settle_time:%m/%d/%Y}"
    due = invoice.invoice_time + timedelta(days=invoice.payment_terms_days)
    amount = f"{invoice.amount_minor // 100}.{invoice.amount_minor % 100:02}"
    return (
        f"{invoice.account_id},{invoice.invoice_id},{invoice.invoice_time:%m/%d/%Y},{due:%m/%d/%Y},{amount},{settled}"
    )


def csv_text(invoices: Iterable[Invoice]) -> str:
    """A file of the invoices."""
    return "\n".join((HEADER, *(row(each) for each in invoices))) + "\n"


def random_invoices(customers: int, invoices: int, prefix: str, seed: int = 7) -> list[Invoice]:
    """Invoices over half a year, most of them paid, in no particular order of time."""
    random = Random(seed)
    made = []
    for number in range(1, invoices + 1):
        day = random.randrange(180)
        paid_on = day + random.randrange(60) if random.random() < 0.8 else None
        customer = f"{prefix}-{random.randrange(customers)}"
        made.append(invoice(number, random.randrange(100, 20_000), day, paid_on, customer))
    return made
