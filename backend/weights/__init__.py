"""Trained weights: sources, download, conversion, storage."""
