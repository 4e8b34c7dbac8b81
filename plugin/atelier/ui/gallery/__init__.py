"""The gallery of styles, presets, files, layers and patterns."""
