"""Imports a result into Blender, with material and shape keys, and saves a .blend file, on request also an FBX.

    blender --background --python examples/blender_import.py -- results/mine/anna anna.blend --fbx anna.fbx

The source is a file (.glb or .obj) or a photo's folder of results: there, rig.glb is preferred to mesh.glb and
mesh.obj. Only rig.glb has shape keys. Textures are packed into the .blend and embedded in the FBX. Blender's FBX
exporter writes shape keys as blend shapes of the same names. Instead of Blender, Python with the package bpy runs this,
too.
"""

import argparse
import sys
from pathlib import Path

# Files of a result in order of preference.
FILES = ("rig.glb", "mesh.glb", "mesh.obj")
METRES_PER_UNIT = {"mm": 0.001, "dm": 0.1, "m": 1.0}


def parse_arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="a .glb or .obj file, or a photo's folder of results")
    parser.add_argument("blend", type=Path, help="the .blend file to write")
    parser.add_argument("--fbx", type=Path, help="an FBX file to write, too")
    parser.add_argument("--unit", choices=METRES_PER_UNIT, default="dm", help="of a .obj (export.unit)")
    return parser.parse_args(words)


def source_file(source: Path) -> Path:
    """The file to import: the source itself, or the best one of a result folder."""
    if not source.is_dir():
        return source
    found = [source / name for name in FILES if (source / name).is_file()]
    if not found:
        raise SystemExit(
            f"{source}: must hold {', '.join(FILES[:-1])} or {FILES[-1]}, got none (export glb, rig or obj)"
        )
    return found[0]


def main(words: list[str]) -> None:
    arguments = parse_arguments(words)
    path = source_file(arguments.source).resolve()
    try:
        import bpy
    except ImportError:
        raise SystemExit(
            "must run in Blender: blender --background --python examples/blender_import.py -- ..."
        ) from None
    bpy.ops.wm.read_factory_settings(use_empty=True)
    if path.suffix == ".obj":
        # Y up and facing +z in the file; Blender has z up and its front view along +y.
        scale = METRES_PER_UNIT[arguments.unit]
        bpy.ops.wm.obj_import(filepath=str(path), forward_axis="NEGATIVE_Z", up_axis="Y", global_scale=scale)
    else:
        bpy.ops.import_scene.gltf(filepath=str(path))
    for item in bpy.data.objects:
        if item.type == "MESH":
            keys = item.data.shape_keys.key_blocks[1:] if item.data.shape_keys else []  # the first is the rest
            materials = ", ".join(slot.material.name for slot in item.material_slots)
            print(f"{item.name}: {len(item.data.vertices)} vertices, {len(keys)} shape keys, material {materials}")
    bpy.ops.file.pack_all()
    bpy.ops.wm.save_as_mainfile(filepath=str(arguments.blend.resolve()))
    print(f"saved {arguments.blend}")
    if arguments.fbx is not None:
        bpy.ops.export_scene.fbx(
            filepath=str(arguments.fbx.resolve()),
            object_types={"EMPTY", "MESH"},
            use_mesh_modifiers=False,  # shape keys are lost if they are applied
            path_mode="COPY",
            embed_textures=True,
        )
        print(f"saved {arguments.fbx}")


if __name__ == "__main__":
    # Blender's own arguments come before the two dashes.
    main(sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:])
