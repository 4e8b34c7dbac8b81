"""The gallery: a chooser of styles or presets, files, layers and patterns, shown as small pictures.

`entries` lists the items of a group and sets the arguments of a chosen one; `thumbnails` loads the small
pictures; `recent` stores recent files and favourites; `own_presets` saved settings;
`file_chooser` opens a file.
`view` is the widget. `gallery` connects all of them to a filter's arguments.
"""
