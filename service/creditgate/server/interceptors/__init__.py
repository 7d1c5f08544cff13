"""Wrappers around the serving of one RPC, one a file, none of which knows the host.

They are composed once, when the server starts (`creditgate.server.pipeline`), and only the raw request and the call's
context pass through them.
"""
