"""Takes the open items of a CSV file over into a running service, and sums up what became of them."""
