"""The filters' dialogs, with Gtk. `dialog` assembles them from the other modules."""
