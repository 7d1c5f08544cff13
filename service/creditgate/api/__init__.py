"""The RPCs of the contract: parse a request, ask the store, render the answer. Knows no server."""
