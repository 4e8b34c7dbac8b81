"""The ZeroMQ server and the worker process for its jobs. Never imports torch."""
