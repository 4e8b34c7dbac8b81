"""Animations of the commands `style` and `dream`."""
