"""The four methods of style transfer."""
