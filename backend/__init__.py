"""Atelier's backend: neural style transfer and DeepDream behind a ZeroMQ socket.

Glossary:
    image tensor     (1, 3, H, W), float32, sRGB in [0, 1]
    visibility       (1, 1, H, W) in [0, 1], `visible` in the code: the opacity of each pixel, and its
                     weight in all sums and means; None for 1 everywhere
    content          the picture to be changed
    style            the picture whose style is applied to the content
    pastiche         the result: the content in that style
    features         the output of a network's layer, (1, C, h, w)
    position         one of the h × w places of a feature map
    stride           pixels between neighbouring positions of a layer
    receptive field  the pixels on which the features at one position depend
    tile, halo       a part of a picture computed at a time, and the pixels around it in the receptive
                     fields of its positions
    Gram matrix      (C, C), the correlations of a layer's channels: the style of Gatys et al. 2016
    moments          mean and variance of each channel, (C,) each: the style of AdaIN (Huang and
                     Belongie 2017)
    style vector     (1, n), the style as the input of a network that paints in one pass
    painter          such a network, see `networks/style_painter.py`
    octave           one of the sizes, from coarse to fine, at which DeepDream works
    guide            the picture whose features a dream takes up
    step             an algorithm is a generator of steps; closing it cancels it, and sending True
                     finishes it early (see `imaging/step.py`)
"""
