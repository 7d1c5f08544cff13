"""Pushes the limits of a CSV or Parquet file into a running service."""
