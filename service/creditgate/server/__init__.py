"""grpc.aio as the host of the contract's handlers."""
