"""Rendering with Phong shading; names, arguments, defaults and conventions of mesh-renderer's mesh_renderer.

Rendered images have row 0 at the top. Colours are linear intensities from 0 upwards, RGB.
"""

import tensorflow as tf

from lib.mesh_renderer import camera_utils, rasterize_triangles

# Value of all attributes outside the mesh. Shading recognises the background by it, because diffuse colours are never
# negative.
BACKGROUND = -1.0


def phong_shader(
    normals,
    alphas,
    pixel_positions,
    light_positions,
    light_intensities,
    diffuse_colors=None,
    camera_position=None,
    specular_colors=None,
    shininess_coefficients=None,
    ambient_color=None,
) -> tf.Tensor:
    """Shades rasterised buffers with Phong's model and point lights.

    Args:
      normals: [B, H, W, 3] unit normals in the world.
      alphas: [B, H, W] coverage; colours show where it exceeds 0.5.
      pixel_positions: [B, H, W, 3] positions in the world.
      light_positions: [B, L, 3] in the world.
      light_intensities: [B, L, 3] RGB, may exceed 1.
      diffuse_colors: [B, H, W, 3] RGB in [0, 1]; required.
      camera_position: [B, 3] in the world; without it there are no highlights.
      specular_colors: [B, H, W, 3] RGB in [0, 1], black if None.
      shininess_coefficients: broadcast to [B, H, W]: [B, H, W], [B, 1, 1] or [1, 1, 1].
      ambient_color: [B, 3] RGB, black if None.

    Returns:
      [B, H, W, 4] RGBA, flipped with respect to the buffers: y-up buffers give an image with row 0 at the top.

    Raises:
      ValueError: diffuse_colors is missing, or specular_colors come without shininess_coefficients.
    """
    if diffuse_colors is None:
        raise ValueError("diffuse_colors must be [B, H, W, 3], got None")
    normals, alphas, positions, lights, intensities, diffuse_colors = (
        tf.convert_to_tensor(value, tf.float32)
        for value in (normals, alphas, pixel_positions, light_positions, light_intensities, diffuse_colors)
    )
    colors = tf.zeros_like(diffuse_colors)
    if ambient_color is not None:
        colors += tf.convert_to_tensor(ambient_color, tf.float32)[:, None, None, :] * diffuse_colors

    # Per-light quantities are [B, L, H, W] or [B, L, H, W, 3].
    to_light = tf.nn.l2_normalize(lights[:, :, None, None, :] - positions[:, None], axis=-1)
    intensities = intensities[:, :, None, None, :]
    facing = tf.clip_by_value(tf.reduce_sum(normals[:, None] * to_light, axis=-1), 0.0, 1.0)
    colors += tf.reduce_sum(diffuse_colors[:, None] * facing[..., None] * intensities, axis=1)

    if camera_position is not None and specular_colors is not None:
        if shininess_coefficients is None:
            raise ValueError("shininess_coefficients must be given with specular_colors, got None")
        highlights = _highlights(normals, positions, to_light, facing, camera_position, shininess_coefficients)
        specular_colors = tf.convert_to_tensor(specular_colors, tf.float32)
        colors += tf.reduce_sum(specular_colors[:, None] * highlights[..., None] * intensities, axis=1)

    alphas = tf.reshape(alphas, tf.concat([tf.shape(normals)[:3], [1]], axis=0))
    colors = tf.where(alphas > 0.5, colors, tf.zeros_like(colors))
    return tf.reverse(tf.concat([colors, alphas], axis=-1), axis=[1])


def _highlights(normals, positions, to_light, facing, camera_position, shininess):
    """Specular factors [B, L, H, W] from the arguments of `phong_shader`."""
    mirrored = tf.nn.l2_normalize(2.0 * facing[..., None] * normals[:, None] - to_light, axis=-1)
    camera = tf.reshape(tf.convert_to_tensor(camera_position, tf.float32), [-1, 1, 1, 3])
    to_camera = tf.nn.l2_normalize(camera - positions, axis=-1)
    alignment = tf.reduce_sum(to_camera[:, None] * mirrored, axis=-1)
    # mesh-renderer divides the cosines by their norm over the whole image, so highlights become fainter with more
    # pixels. This differs from Phong's model, but scenes tuned with that package rely on it.
    alignment = tf.clip_by_value(tf.nn.l2_normalize(alignment, axis=(2, 3)), 0.0, 1.0)
    shininess = tf.convert_to_tensor(shininess, tf.float32)[:, None] + tf.zeros_like(alignment)
    # Powers of zero have an infinite slope for exponents below one, which the later mask would turn into NaN, and
    # background pixels have negative exponents.
    visible = (alignment > 0.0) & (facing != 0.0)
    power = tf.pow(alignment, tf.where(visible, shininess, 1.0))
    return tf.where(visible, power, tf.where(shininess == 0.0, 1.0, 0.0))


def tone_mapper(image, gamma) -> tf.Tensor:
    """Tone-maps images of high dynamic range: image ** gamma, scaled so that each image's maximum is 1.

    Args:
      image: [B, H, W, C], non-negative.
      gamma: non-negative scalar; values below 1 compress contrast.

    Returns:
      [B, H, W, C] in [0, 1]; black images stay black.
    """
    image, gamma = tf.convert_to_tensor(image, tf.float32), tf.convert_to_tensor(gamma, tf.float32)
    # As in `_highlights`: the slope of zero's power is infinite for exponents below one.
    dark = image == 0.0
    corrected = tf.where(dark, tf.where(gamma == 0.0, 1.0, 0.0), tf.pow(tf.where(dark, 1.0, image), gamma))
    maximum = tf.reduce_max(corrected, axis=[1, 2, 3], keepdims=True)
    return tf.clip_by_value(tf.math.divide_no_nan(corrected, maximum), 0.0, 1.0)


def mesh_renderer(
    vertices,
    triangles,
    normals,
    diffuse_colors,
    camera_position,
    camera_lookat,
    camera_up,
    light_positions,
    light_intensities,
    image_width,
    image_height,
    specular_colors=None,
    shininess_coefficients=None,
    ambient_color=None,
    fov_y=40.0,
    near_clip=0.01,
    far_clip=10.0,
) -> tf.Tensor:
    """Renders a lit mesh.

    Args:
      vertices: [B, N, 3] positions in the world.
      triangles: [F, 3] int32 vertex indices, either winding.
      normals: [B, N, 3] unit vertex normals in the world.
      diffuse_colors: [B, N, 3] RGB in [0, 1]. A pixel whose three channels are all negative counts as background.
      camera_position: [B, 3] or [3], in the world; also for the next two.
      camera_lookat: a point the camera looks at.
      camera_up: direction shown upright in the image.
      light_positions: [B, L, 3] in the world.
      light_intensities: [B, L, 3] RGB, may exceed 1.
      image_width, image_height: pixels.
      specular_colors: [B, N, 3] RGB in [0, 1]; together with shininess_coefficients, or neither.
      shininess_coefficients: scalar, [B] or [B, N].
      ambient_color: [B, 3] RGB, black if None.
      fov_y: vertical field of view in degrees, scalar or [B].
      near_clip, far_clip: distances of the clipping planes, scalar or [B].

    Returns:
      [B, H, W, 4] RGBA: intensities from 0 upwards; alpha 1 on the mesh, 0 elsewhere. Row 0 is the top. Differentiable
      in all arguments except triangles; no gradient from silhouettes.

    Raises:
      ValueError: a shape is not as above, the image is empty, or only one of the two specular arguments is given.
    """
    vertices = _of_rank_3(vertices, "vertices", "[B, N, 3]")
    normals = _of_rank_3(normals, "normals", "[B, N, 3]")
    diffuse_colors = _of_rank_3(diffuse_colors, "diffuse_colors", "[B, N, 3]")
    light_positions = _of_rank_3(light_positions, "light_positions", "[B, L, 3]")
    light_intensities = _of_rank_3(light_intensities, "light_intensities", "[B, L, 3]")
    eye = _per_image(camera_position, "camera_position", vertices, [3])
    center = _per_image(camera_lookat, "camera_lookat", vertices, [3])
    up = _per_image(camera_up, "camera_up", vertices, [3])
    fov_y = _per_image(fov_y, "fov_y", vertices, [])
    near_clip = _per_image(near_clip, "near_clip", vertices, [])
    far_clip = _per_image(far_clip, "far_clip", vertices, [])
    if ambient_color is not None:
        ambient_color = tf.convert_to_tensor(ambient_color, tf.float32)
        if not ambient_color.shape.is_compatible_with([vertices.shape[0], 3]):
            raise ValueError(f"ambient_color must be [B, 3], got {ambient_color.shape}")
    specular_colors, shininess_coefficients = _specular(specular_colors, shininess_coefficients)
    rasterize_triangles.check_image_size(image_width, image_height)
    projection = camera_utils.perspective(image_width / image_height, fov_y, near_clip, far_clip)

    attributes = {"normal": normals, "position": vertices, "diffuse": diffuse_colors}
    if specular_colors is not None:
        attributes["specular"] = specular_colors
        if shininess_coefficients.shape.rank == 2:
            attributes["shininess"] = shininess_coefficients[..., None]
    camera = tf.matmul(projection, camera_utils.look_at(eye, center, up))
    pixels = _rasterize_attributes(attributes, vertices, triangles, camera, image_width, image_height)
    if "shininess" in pixels:
        shininess_coefficients = pixels["shininess"][..., 0]
    elif shininess_coefficients is not None:
        shininess_coefficients = tf.reshape(shininess_coefficients, [-1, 1, 1])
    return phong_shader(
        normals=tf.nn.l2_normalize(pixels["normal"], axis=-1),
        alphas=tf.cast(tf.reduce_any(pixels["diffuse"] >= 0, axis=-1), tf.float32),
        pixel_positions=pixels["position"],
        light_positions=light_positions,
        light_intensities=light_intensities,
        diffuse_colors=pixels["diffuse"],
        camera_position=eye if specular_colors is not None else None,
        specular_colors=pixels.get("specular"),
        shininess_coefficients=shininess_coefficients,
        ambient_color=ambient_color,
    )


def _specular(specular_colors, shininess_coefficients):
    """The two specular arguments of `mesh_renderer` as checked tensors, or two None."""
    if (specular_colors is None) != (shininess_coefficients is None):
        missing = "specular_colors" if specular_colors is None else "shininess_coefficients"
        raise ValueError(f"specular_colors and shininess_coefficients must be given together, got no {missing}")
    if specular_colors is None:
        return None, None
    specular_colors = _of_rank_3(specular_colors, "specular_colors", "[B, N, 3]")
    shininess_coefficients = tf.convert_to_tensor(shininess_coefficients, tf.float32)
    if shininess_coefficients.shape.rank > 2:
        raise ValueError(f"shininess_coefficients must be a scalar, [B] or [B, N], got {shininess_coefficients.shape}")
    return specular_colors, shininess_coefficients


def _rasterize_attributes(
    attributes: dict[str, tf.Tensor], vertices, triangles, camera_matrices, image_width, image_height
) -> dict[str, tf.Tensor]:
    """Images [B, H, W, C] of named vertex attributes [B, N, C]; all arguments as in `rasterize_triangles.rasterize`."""
    sizes = [values.shape[2] for values in attributes.values()]
    pixels = rasterize_triangles.rasterize(
        vertices,
        tf.concat(list(attributes.values()), axis=-1),
        triangles,
        camera_matrices,
        image_width,
        image_height,
        [BACKGROUND] * sum(sizes),
    )
    return dict(zip(attributes, tf.split(pixels, sizes, axis=-1), strict=True))


def _of_rank_3(value, name, shape):
    """Converts an argument to a float32 tensor of rank 3."""
    value = tf.convert_to_tensor(value, tf.float32)
    if value.shape.rank != 3:
        raise ValueError(f"{name} must be {shape}, got {value.shape}")
    return value


def _per_image(value, name, vertices, shape):
    """Broadcasts an argument of `shape` or [B, *shape] to [B, *shape]."""
    value = tf.convert_to_tensor(value, tf.float32)
    if value.shape.rank == len(shape) and value.shape.is_compatible_with(shape):
        return tf.broadcast_to(value, tf.concat([tf.shape(vertices)[:1], shape], axis=0))
    if not value.shape.is_compatible_with([vertices.shape[0], *shape]):
        expected = f"{shape} or [B, {shape[0]}]" if shape else "a scalar or [B]"
        raise ValueError(f"{name} must be {expected}, got {value.shape}")
    return value
