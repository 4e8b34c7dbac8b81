"""Visualisation of a network's channels and classes."""
