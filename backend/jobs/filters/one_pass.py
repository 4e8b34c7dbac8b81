"""The methods of Style Transfer that paint in one pass: fast, gallery and light."""

from __future__ import annotations

from pathlib import Path

from atelier_shared.gallery_styles import GALLERY
from atelier_shared.style_transfer import StyleTransfer
from atelier_shared.text_settings import gallery_mix

from ...imaging.step import Steps
from ...style import fast as fast_method
from ...style import gallery as gallery_method
from ...style import light as light_method
from .. import loaded_networks
from ..algorithm import Pictures, Tiling


def fast(request: StyleTransfer, pictures: Pictures, models: Path, tiling: Tiling) -> Steps:
    """Paint with the decoder of VGG19's features."""
    device = pictures.content.device
    return fast_method.stylize(
        pictures.content,
        pictures.styles,
        fast_method.FastSettings(
            request.strength, request.working_px, neighbours=request.objective == "neighbours"
        ),
        network=loaded_networks.feature_network("vgg19", models, device, pooling="max"),
        decoder=loaded_networks.decoder(models, device),
        visible=pictures.visible,
        tile_scale=tiling.scale,
    )


def gallery(request: StyleTransfer, pictures: Pictures, models: Path, tiling: Tiling) -> Steps:
    """Paint with the network of the built-in styles."""
    return gallery_method.stylize(
        pictures.content,
        gallery_method.GallerySettings(mix=gallery_weights(request), size=request.working_px),
        network=loaded_networks.gallery_painter(models, pictures.content.device),
        visible=pictures.visible,
        tile_scale=tiling.scale,
    )


def gallery_weights(request: StyleTransfer) -> list[float]:
    """Return the weight of each built-in style."""
    mix = {request.gallery_style: 1.0} | gallery_mix(request.gallery_mix)
    return [mix.get(name, 0.0) for name in GALLERY]


def light(request: StyleTransfer, pictures: Pictures, models: Path, tiling: Tiling) -> Steps:
    """Paint with the networks that predict a style and paint in it."""
    predictor, painter = loaded_networks.light_networks(models, pictures.content.device)
    return light_method.stylize(
        pictures.content,
        pictures.styles,
        light_method.LightSettings(strength=request.strength, size=request.working_px),
        predictor=predictor,
        painter=painter,
        visible=pictures.visible,
        tile_scale=tiling.scale,
    )
