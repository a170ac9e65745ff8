"""Loads the face model that a configuration names."""

from configs import schema
from lib.errors import UserError
from lib.face_model.face_model import FaceModel
from lib.face_model_files.human_head import load_human_head
from lib.synthetic.builtin.face_generator import load_face_model as load_built_in


def load_face_model(config: schema.Config) -> FaceModel:
    """Loads the configuration's face model: built in, the human head, from an .npz, or converted from published files.

    Raises:
      UserError: the files are missing or in an unknown format.
    """
    section = config.face_model
    if section.source == "built-in":
        return load_built_in(config.generated_dir, section.vertex_count, section.seed)
    if section.source == "human-head":
        return load_human_head(config.generated_dir, section.area, section.vertex_count)
    # The readers of published files take half a second to import.
    from lib.face_model_files.published import load_published

    path = schema.asset_path(section.source)
    if not path.exists():
        raise UserError(
            f"face_model.source: must be 'built-in', 'human-head' or the path of a face model, got {path}: no such "
            "file or folder (python main.py --mode doctor with the same --config lists its files)"
        )
    return load_published(path, config.generated_dir)
