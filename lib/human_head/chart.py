"""The texture chart: MakeHuman's layout turned upright, with islands of their own for eyes, mouth, teeth and tongue."""

import numpy as np
import scipy.sparse
import scipy.sparse.csgraph

# Islands other than the skin stand in a row of cells along the lower border.
CELLS = ("eye 0", "teeth", "island 0", "island 1", "island 2", "tongue", "island 3", "eye 1")
ROW = 1 / len(CELLS)
MARGIN = 0.006
ENLARGED = 2.6  # of the face on the chart of a whole head


def components(count: int, quads: np.ndarray) -> np.ndarray:
    """[T] number of the island of each texture coordinate of a chart of quads [Q, 4]."""
    ends = np.roll(quads, -1, axis=1).ravel()
    graph = scipy.sparse.coo_matrix((np.ones(quads.size), (quads.ravel(), ends)), (count, count))
    return scipy.sparse.csgraph.connected_components(graph, directed=False)[1]


def in_cell(uv: np.ndarray, cell: str, part: tuple[float, float] = (0.0, 1.0)) -> np.ndarray:
    """Moves texture coordinates [N, 2] from the unit square to a cell of the row, between two of its heights."""
    left, (low, high) = CELLS.index(cell) * ROW, part
    size = ROW - 2 * MARGIN
    return np.stack([left + MARGIN + size * uv[:, 0], MARGIN + size * (low + (high - low) * uv[:, 1])], axis=1)


def fitted(uv: np.ndarray) -> np.ndarray:
    """Texture coordinates [N, 2] shifted and scaled into the unit square, in proportion."""
    low, high = uv.min(axis=0), uv.max(axis=0)
    return 0.5 + (uv - 0.5 * (low + high)) / (high - low).max()


def above_row(uv: np.ndarray) -> np.ndarray:
    """Moves texture coordinates [N, 2] into the square's part above the row, in proportion as far as that fits."""
    low, high = uv.min(axis=0), uv.max(axis=0)
    size = np.array([1 - 2 * MARGIN, 1 - ROW - 2 * MARGIN])
    scale = (size / (high - low)).min()
    centre = np.array([0.5, ROW + MARGIN + 0.5 * size[1]])
    return centre + scale * (uv - 0.5 * (low + high))


def enlarged(uv: np.ndarray, face: np.ndarray) -> np.ndarray:
    """Gives the face more of the chart's part above the row and the rest of the skin less: texture coordinates [N, 2].

    Both axes are stretched about the middle of the face, by `ENLARGED` there and its inverse at the borders. Islands in
    the row stay.

    Args:
      uv: [N, 2] a chart of the whole head.
      face: [M, 2] coordinates of the front of the face; those in the row are ignored.
    """
    face = face[face[:, 1] > ROW]
    middle = (face.min(axis=0) + face.max(axis=0)) / 2
    low, high = np.array([MARGIN, ROW + MARGIN]), np.array([1 - MARGIN, 1 - MARGIN])
    reach = np.where(uv < middle, middle - low, high - middle)
    share = np.abs(uv - middle) / reach
    stretched = middle + np.sign(uv - middle) * reach * ENLARGED * share / (1 + (ENLARGED - 1) * share)
    return np.where(uv[:, 1:] > ROW, stretched, uv).astype(np.float32)


def upright(uv: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Turns a chart [N, 2] by quarters and mirrors it so that u grows with x and v with y of the points [N, 3]."""
    centred = uv - uv.mean(axis=0)
    places = shape - shape.mean(axis=0)
    # Correlation of the chart's axes with x and y.
    like_x, like_y = centred.T @ places[:, 0], centred.T @ places[:, 1]
    across = int(np.abs(like_x).argmax())
    along = 1 - across
    return np.stack([uv[:, across] * np.sign(like_x[across]), uv[:, along] * np.sign(like_y[along])], axis=1)
