"""What operators see: metrics, the HTTP endpoints for them and for probes, logs."""
