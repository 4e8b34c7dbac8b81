"""Faster convolutions on a processor."""
