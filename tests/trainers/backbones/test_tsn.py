"""`tsn`: frames that know nothing of each other."""

from tests.trainers.backbones.video_contract import VideoContract


class TestTsn(VideoContract):
    fields = {"name": "tsn"}
    parameters, gmacs = 23_864_558, 32.70
    minds_order = False


class TestMobile(VideoContract):
    """Of 1,000 classes MobileNetV2 has 3,504,872 parameters and takes .3008 G a frame, as torchvision's has."""

    fields = {"name": "tsn", "network": "mobilenet_v2"}
    small = {"width": 0.25, "dropout": 0.0}
    units, parameters, gmacs = 1000, 3_504_872, 8 * 0.300775
    minds_order = False
