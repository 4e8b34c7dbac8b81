"""The dialogs. Gtk."""
