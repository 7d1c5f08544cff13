"""creditgate: a real-time credit check over gRPC, decided atomically in Redis."""

__version__ = "0.1.0"
