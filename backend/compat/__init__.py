"""Differences between machines and library builds."""
