"""The words and rules of the credit gate in plain Python: no transport, no store, no metrics."""
