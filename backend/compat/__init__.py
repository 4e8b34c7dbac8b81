"""Differences between machines, and between builds of libraries."""
