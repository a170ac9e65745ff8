"""Fingerprints of the models that the tests convert, one of each form, at a METHOD of the conversion."""

from lib.face_model.face_model import FaceModel
from lib.face_model_files.published import METHOD
from tests.support.pinned import check_pinned_model

# What a form lacks comes from the small built-in model: a new METHOD of that one changes these, too.
PINNED_METHOD = "published forms, 2"
PINNED = {
    "Basel 2009": "7b731cedd888e5b2",
    "Basel 2019": "225b1666647ab1ee",
    "FLAME": "bd8785d5e16c4d82",
    "GNM": "1ee5dac28b9b966c",
    "ICT": "14c1e645e38c7ca8",
    "Surrey": "fa54c032984e8bd2",
    "template": "88c3ce2ad63e29d2",
}


def check_conversion(form: str, model: FaceModel) -> None:
    """Fails if the converted model of a form changed and METHOD did not."""
    check_pinned_model(METHOD, model, PINNED_METHOD, PINNED[form])
