"""Motion between the frames of an animation, and results along it. Knows no networks and no requests."""
