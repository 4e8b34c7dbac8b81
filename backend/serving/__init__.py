"""The ZeroMQ server, and the worker process that runs its jobs. Never imports torch."""
