"""The filters inside GIMP, without windows: procedures, layers, runs. gi, no Gtk."""
