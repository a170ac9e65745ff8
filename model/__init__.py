"""3D face reconstruction from single photos with graph convolutional networks.

    from model import FaceReconstructor

Importing TensorFlow takes seconds, so it is put off until the class is first used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from model.reconstruction.face_reconstructor import FaceReconstructor

__all__ = ["FaceReconstructor"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from lib.runtime.collection import paused_collection
    from lib.runtime.quiet_tensorflow import import_tensorflow

    with paused_collection():
        import_tensorflow()
        from model.reconstruction.face_reconstructor import FaceReconstructor

    return FaceReconstructor
