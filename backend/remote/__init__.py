"""The connection to a backend on another machine, through the system's ssh."""
