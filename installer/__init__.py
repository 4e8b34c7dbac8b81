"""The parts of install.py: `steps` is their order, `paths` the places. Standard library only."""
