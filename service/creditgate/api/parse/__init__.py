"""Requests into operations of the domain: everything is checked here, what passes is within the contract's bounds."""
