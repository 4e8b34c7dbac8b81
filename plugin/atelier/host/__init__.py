"""The filters inside GIMP without windows: procedures, layers, runs. It uses gi, but not Gtk."""
