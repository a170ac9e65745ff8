"""Fits eos-py's Surrey model to the 68 landmarks of its mean face: python -m benchmarks.bench.eos_fit FOLDER.

FOLDER is eos's `share`. The fit is that of eos's own demo; its landmarks are the model's, seen from the front.
"""

import sys
from pathlib import Path

import eos

SIDE = 224


def main() -> None:
    share = Path(sys.argv[1])
    mapper = eos.core.LandmarkMapper(str(share / "ibug_to_sfm.txt"))
    neutral = eos.morphablemodel.load_model(str(share / "sfm_shape_3448.bin"))
    model = eos.morphablemodel.MorphableModel(
        neutral.get_shape_model(),
        eos.morphablemodel.load_blendshapes(str(share / "expression_blendshapes_3448.bin")),
        color_model=eos.morphablemodel.PcaModel(),
        vertex_definitions=None,
        texture_coordinates=neutral.get_texture_coordinates(),
    )
    points = neutral.get_shape_model().get_mean().reshape(-1, 3)
    landmarks = []
    for name in map(str, range(1, 69)):
        vertex = mapper.convert(name)
        if vertex is not None:
            x, y, _ = points[int(vertex)]
            landmarks.append(eos.core.Landmark(name, [SIDE / 2 + 0.8 * float(x), SIDE / 2 - 0.8 * float(y)]))
    eos.fitting.fit_shape_and_pose(
        model,
        landmarks,
        mapper,
        SIDE,
        SIDE,
        eos.morphablemodel.load_edge_topology(str(share / "sfm_3448_edge_topology.json")),
        eos.fitting.ContourLandmarks.load(str(share / "ibug_to_sfm.txt")),
        eos.fitting.ModelContour.load(str(share / "sfm_model_contours.json")),
    )


if __name__ == "__main__":
    main()
