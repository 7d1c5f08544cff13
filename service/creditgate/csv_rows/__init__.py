"""CSV files, row by row: which column holds what, and rows that can't be read told by line, column and reason."""
