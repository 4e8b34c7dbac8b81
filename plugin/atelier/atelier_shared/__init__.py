"""What both Pythons load: the plug-in's and the backend's. Standard library only."""
