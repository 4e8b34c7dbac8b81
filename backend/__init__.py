"""Atelier's backend: neural style transfer and DeepDream behind a ZeroMQ socket.

Words used throughout:
    image tensor   (1, 3, H, W), float32, sRGB in [0, 1]
    content        the picture to be painted anew; style: the one whose manner it takes
    pastiche       the picture that comes of both
    Gram matrix    (C, C), the correlations of a layer's channels: the style of Gatys et al. 2016
    octave         one of the sizes at which DeepDream works, coarse to fine
    halo           pixels around a tile that the network must see for the tile itself to be right
    step           what an algorithm, a generator, yields; closing the generator cancels it
"""
