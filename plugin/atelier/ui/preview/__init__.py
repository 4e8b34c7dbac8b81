"""The live preview of a filter.

`pane` is the widget, `preview_job` its job in the backend, `excerpt` reads the layer's pixels, `rendering`
draws them.
"""
