"""The API, generated from protos/creditgate/v1 by `make proto`; only this file is written by hand."""
