"""The live preview of a filter.

`pane` is the widget, `picture_area` its picture and the mouse and keys on it, `preview_job` its jobs in the
backend. `view` is the visible part of the selection, `excerpt` reads its pixels, `rendering` draws them.
"""
