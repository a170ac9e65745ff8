"""The scenes that the reference numbers of the renderer were made with."""

from tests.support.helpers import golden

SCENES = ("tri2", "cube", "sphere")
EYE, CENTER, UP = ([0.0, 0.0, 10.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0])


def scene_arrays(scene):
    return {name.split("/")[1]: value for name, value in golden("renderer").items() if name.startswith(scene)}
