"""The neural networks and their features."""
