"""Plays recorded orders, invoices and payments against a running service, and sums up how it answered."""
