"""Random synthetic people, and their pose, expression and hair in one photo."""

from dataclasses import dataclass

import numpy as np

from lib.errors import UserError
from lib.face_model.face_model import FaceModel
from lib.human_head.population import ANCESTRIES, YEARS, YOUNGEST, Mixture
from lib.synthetic.appearance.face_units import FULL, is_face_units, sample_face_units
from lib.synthetic.builtin.expressions import EXPRESSION_NAMES, PARTING, sample_expressions

_PARTING = [EXPRESSION_NAMES.index(name) for name in PARTING]
LUMINANCE = np.array([0.30, 0.59, 0.11])
HAIR_COLOURS = np.array(
    [
        (0.055, 0.045, 0.045), (0.10, 0.075, 0.06), (0.19, 0.125, 0.085), (0.30, 0.20, 0.125), (0.47, 0.34, 0.21),
        (0.70, 0.56, 0.37), (0.43, 0.20, 0.10), (0.55, 0.54, 0.53), (0.80, 0.79, 0.77),
    ]
)  # fmt: skip
IRIS_COLOURS = np.array(
    [
        (0.12, 0.07, 0.045),
        (0.20, 0.12, 0.065),
        (0.33, 0.23, 0.11),
        (0.30, 0.34, 0.20),
        (0.30, 0.44, 0.56),
        (0.42, 0.50, 0.55),
    ]
)
BEARDS = ("none", "stubble", "full", "moustache", "goatee")
HAIR_STYLES = ("short", "medium", "long", "curly", "shaved", "bald", "swept", "fringe", "beanie", "scarf")


@dataclass(frozen=True)
class Person:
    """The properties shared by all photos of one person.

    Attributes:
      identity: [Ki]; albedo: [Ka].
      seed: of the fields of the skin.
      tone: luminance of the skin, about 0.15 to 0.85.
      skin: [3] RGB of the skin.
      age: 0 young to 1 old; male: 0 or 1.
      hair, brow, iris: [3] RGB.
      curl: 0 straight to 1 tight curls; receding: 0 to 1.
      brow_thickness: millimetres; brow_density: 0 to 1.
      freckles: strength from 0, seldom above 1.
      mottling, pores, oil: strengths 0 to 1.
      moles: [M, 5] x, y, z, radius (millimetres) and darkness.
      beard: strength of the growth 0 to 1.
      habit, shaving: usual style of hair and beard, names of HAIR_STYLES and BEARDS.
    """

    identity: np.ndarray
    albedo: np.ndarray
    seed: int
    tone: float
    skin: np.ndarray
    age: float
    male: float
    hair: np.ndarray
    brow: np.ndarray
    iris: np.ndarray
    curl: float
    receding: float
    brow_thickness: float
    brow_density: float
    freckles: float
    mottling: float
    pores: float
    oil: float
    moles: np.ndarray
    beard: float
    habit: str
    shaving: str


@dataclass(frozen=True)
class Moment:
    """The properties of one photo of a person.

    Attributes:
      expression: [Ke]; angles: [3] radians.
      gaze: [2] shift of both irises in canonical millimetres.
      jitter: [5, 2] errors of the detector that placed the crop, fractions of the distance between the eyes.
      brow_raise, smile, frown: contraction of the muscles that fold the skin, 0 to 1.
      lipstick, eye_shadow, blush, liner: strengths of make-up 0 to 1; lip_colour, shadow_colour: [3] RGB.
      hair_style, beard_style: names.
    """

    expression: np.ndarray
    angles: np.ndarray
    gaze: np.ndarray
    jitter: np.ndarray
    brow_raise: float
    smile: float
    frown: float
    lipstick: float
    lip_colour: np.ndarray
    eye_shadow: float
    shadow_colour: np.ndarray
    blush: float
    liner: float
    hair_style: str
    beard_style: str


@dataclass(frozen=True)
class ToneAxis:
    """The direction in a model's albedo coefficients that darkens the skin.

    Attributes:
      direction: [Ka] unit vector; slope: luminance lost per unit of it; mean: luminance of the mean face.
      vertices: [S] front skin; mean_colour: [S, 3]; basis: [Ka, S, 3] the albedo model there.
    """

    direction: np.ndarray
    slope: float
    mean: float
    vertices: np.ndarray
    mean_colour: np.ndarray
    basis: np.ndarray

    @classmethod
    def of(cls, model: FaceModel):
        """The axis of a model; UserError if it has no skin at its front."""
        vertices = np.flatnonzero(model.skin_mask & model.front_mask)
        if not len(vertices):
            raise UserError(
                f"face model {model.name!r}: skin_mask and front_mask must share a vertex, got none in both"
            )
        vertices = vertices[:: max(1, len(vertices) // 1500)]
        basis, colour = model.albedo_basis[:, vertices], model.mean_albedo[vertices]
        slope = -(basis.mean(1) @ LUMINANCE)
        length = float(np.linalg.norm(slope))
        return cls(slope / max(length, 1e-9), length, float((colour @ LUMINANCE).mean()), vertices, colour, basis)


def sample_albedo(
    generator: np.random.Generator, axis: ToneAxis, darkest: float = 0.2, lightest: float = 0.80
) -> np.ndarray:
    """Albedo coefficients [Ka]: standard normal, except that skin tones are distributed evenly over all human tones."""
    coefficients = np.clip(generator.normal(size=len(axis.direction)), -2.5, 2.5)
    if axis.slope < 1e-6:
        return coefficients
    # Models with a narrow basis cannot reach every tone.
    low, high = np.clip([(axis.mean - lightest) / axis.slope, (axis.mean - darkest) / axis.slope], -2.2, 2.9)
    wanted = generator.uniform(low, high)
    return coefficients + axis.direction * (wanted - coefficients @ axis.direction)


# Luminances of the darkest and the lightest skin of each ancestry; they overlap widely.
_TONES = {"african": (0.14, 0.56), "asian": (0.36, 0.78), "caucasian": (0.42, 0.82)}


@dataclass(frozen=True)
class _Traits:
    """Traits that a person's shape and appearance share: coefficients [Ki], age 0 to 1, sex, range of skin tones."""

    identity: np.ndarray
    age: float
    male: float
    tones: tuple[float, float]


def _draw_traits(generator: np.random.Generator, model: FaceModel) -> _Traits:
    """Draws a person from the model's own distribution of people."""
    identities, people = Mixture.of(model.people).draw(generator, 2)
    chosen = int(generator.random() < 0.5)  # of a woman and a man
    tones = people.ancestry[chosen] @ np.array([_TONES[name] for name in ANCESTRIES])
    age = float(np.clip((people.age[chosen] - YOUNGEST) / YEARS, 0, 1))
    return _Traits(identities[chosen], age, float(people.male[chosen] > 0.5), (float(tones[0]), float(tones[1])))


def sample_person(generator: np.random.Generator, model: FaceModel, axis: ToneAxis, points: np.ndarray) -> Person:
    """Draws a person; `points` [N, 3] is the mean face in canonical millimetres (places for moles)."""
    traits = _draw_traits(generator, model) if model.people else None
    identity = traits.identity if traits else np.clip(generator.normal(size=len(model.identity_basis)), -2.8, 2.8)
    albedo = sample_albedo(generator, axis, *(traits.tones if traits else ()))
    colour = axis.mean_colour + np.tensordot(albedo, axis.basis, 1)
    skin = np.clip(np.median(colour, axis=0), 0.05, 0.95)
    tone = float(skin @ LUMINANCE)
    age = traits.age if traits else float(generator.beta(1.3, 1.6))
    male = traits.male if traits else float(generator.random() < 0.5)
    fair = np.clip((tone - 0.52) / 0.2, 0, 1)
    weights = np.array([1.6, 1.3, 1.0 * (0.3 + fair), 1.0 * fair, 0.9 * fair, 0.9 * fair, 0.35 * fair, 0, 0])
    weights[7:] = weights.sum() * np.array([0.5, 0.5]) * max(0.0, age - 0.55) * 1.6
    index = generator.choice(len(HAIR_COLOURS), p=weights / weights.sum())
    hair = HAIR_COLOURS[index] * generator.uniform(0.8, 1.2) * np.exp(generator.normal(0, 0.03, 3))
    eyes = np.array([1.6, 1.0, 0.5 + fair, 0.7 * fair, 0.9 * fair, 0.7 * fair])
    iris = IRIS_COLOURS[generator.choice(len(eyes), p=eyes / eyes.sum())] * np.exp(generator.normal(0, 0.12, 3))
    count = generator.poisson(1.5)
    places = points[generator.choice(axis.vertices, count)] if count else np.zeros((0, 3))
    moles = np.column_stack([places, generator.uniform(0.7, 1.9, count), generator.uniform(0.2, 0.8, count)])
    curl = float(np.clip(generator.beta(1, 3) + 0.6 * np.clip((0.45 - tone) / 0.2, 0, 1), 0, 1))
    styles = np.array([3.0, 2, 2.2, 1.5, 0.9, 0.6, 1.5, 1.6, 0.5, 0.5])
    styles *= np.where(male, [2, 1, 0.25, 1, 1.4, 1.4, 1, 0.4, 1, 0], [0.5, 1, 1.8, 1.2, 0.15, 0.02, 1, 1.6, 1, 1.6])
    brow = hair * generator.uniform(0.45, 0.8) if index < 7 else hair * generator.uniform(0.35, 0.8)
    return Person(
        identity=identity, albedo=albedo, seed=int(generator.integers(1 << 30)),
        tone=tone, skin=skin, age=age, male=male,
        hair=hair, brow=brow, iris=iris, curl=curl,
        receding=float(male * np.clip(generator.normal(0.1 + 0.5 * age, 0.3), 0, 1)),
        brow_thickness=float(generator.uniform(1.9, 3.0) + 0.8 * male * generator.random()),
        brow_density=float(generator.uniform(0.45, 1.0)),
        freckles=float(max(0.0, generator.normal(-0.5, 0.8)) * (0.25 + 0.75 * fair)),
        mottling=float(generator.uniform(0.3, 1.0)), pores=float(generator.uniform(0.2, 1.0)),
        oil=float(generator.uniform(0, 1)), moles=moles, beard=float(male * generator.uniform(0.2, 1.0)),
        habit=str(generator.choice(HAIR_STYLES, p=styles / styles.sum())),
        shaving=str(generator.choice(BEARDS, p=[0.43, 0.29, 0.09, 0.09, 0.10])) if male else "none",
    )  # fmt: skip


def sample_moment(generator: np.random.Generator, model: FaceModel, person: Person) -> Moment:
    """Draws expression, pose, gaze, make-up and hair of one photo."""
    if model.expression_names == EXPRESSION_NAMES:
        expression = sample_expressions(
            generator, 1, activity=generator.choice([0.0, 0.08, 0.16, 0.3], p=[0.2, 0.35, 0.3, 0.15])
        )[0].astype(float)
        expression *= generator.uniform(0.4, 1.0)
        expression[_PARTING] *= generator.random() < 0.3  # most people keep their lips closed
        if generator.random() < 0.45:
            # One moment in a hundred exceeds FULL_STRENGTH so. The shipped weights were trained on such pictures: it
            # stays until the pictures change anyway (`lib.synthetic.method`).
            expression += _camera_smile(generator)
        strength = dict(zip(EXPRESSION_NAMES, np.abs(expression) / 2.5, strict=True))
        folds = (strength["brow_inner_raise"], strength["smile_left"], strength["brow_lower_left"])
    elif is_face_units(model.expression_names):
        expression = sample_face_units(generator)
        strength = dict(zip(model.expression_names, expression / FULL, strict=True))
        folds = (strength["browInnerUp"], strength["mouthSmileLeft"], strength["browDownLeft"])
    else:
        count = len(model.expression_basis)
        expression = generator.normal(size=count) * (generator.random(count) < 0.35) * generator.uniform(0.3, 1.4)
        folds = tuple(generator.uniform(0, 0.4, 3))
    wide = generator.random() < 0.2
    yaw = np.clip(generator.normal(0, 34 if wide else 15), -60, 60)
    pitch = np.clip(generator.normal(0, 8.5), -20, 20)
    roll = np.clip(generator.normal(0, 4.5), -12, 12)
    angles = np.radians([pitch, yaw, roll])
    # Most people look at the camera; the irises turn against the head, as far as eyes go.
    at_camera = np.array([-np.sin(angles[1]), np.sin(angles[0])]) * 11.0 if generator.random() < 0.75 else np.zeros(2)
    gaze = np.clip(at_camera, -3.6, 3.6) * (1, 0.6) + generator.normal(0, 0.5, 2)
    common = generator.normal(0, 0.012, 2)
    made_up = (not person.male) and generator.random() < 0.45
    lip_colour = np.array([(0.62, 0.12, 0.16), (0.72, 0.30, 0.33), (0.50, 0.14, 0.22), (0.64, 0.36, 0.30)])
    shadows = np.array([(0.25, 0.18, 0.16), (0.35, 0.22, 0.30), (0.30, 0.33, 0.42), (0.45, 0.30, 0.22)])
    style = person.habit if generator.random() < 0.7 else _another_style(generator, person)
    return Moment(
        expression=expression, angles=angles, gaze=gaze,
        jitter=common + generator.normal(0, 0.028, (5, 2)),
        brow_raise=float(min(1, folds[0])), smile=float(min(1, folds[1])), frown=float(min(1, folds[2])),
        lipstick=float(made_up * generator.beta(1.2, 2.2) * 0.9),
        lip_colour=lip_colour[generator.integers(len(lip_colour))] * (0.55 + 0.6 * person.tone),
        eye_shadow=float(made_up * generator.uniform(0, 0.6)),
        shadow_colour=shadows[generator.integers(len(shadows))] * (0.5 + 0.7 * person.tone),
        blush=float(made_up * generator.uniform(0, 0.8)), liner=float(made_up * generator.uniform(0, 1)),
        hair_style=style,
        beard_style=person.shaving if generator.random() < 0.8 else ("stubble" if person.male else "none"),
    )  # fmt: skip


def _camera_smile(generator: np.random.Generator) -> np.ndarray:
    """Expression [Ke] of a smile for the camera: cheeks and lower lids are raised; half of the smiles show teeth."""
    smile = dict.fromkeys(EXPRESSION_NAMES, 0.0)
    strength = generator.uniform(0.6, 1.9)
    for side in ("right", "left"):
        smile[f"smile_{side}"] = strength * generator.uniform(0.9, 1.0)
        smile[f"squint_{side}"] = 0.25 * strength
    if generator.random() < 0.5:
        smile["upper_lip_raise"] = generator.uniform(0.15, 0.45) * strength
        smile["lower_lip_depress"] = generator.uniform(0.15, 0.45) * strength
        smile["jaw_open"] = generator.uniform(0, 0.15) * strength
    return np.array(list(smile.values()))


def _another_style(generator: np.random.Generator, person: Person) -> str:
    """Another hair style for the same person, consistent with their sex and hair loss."""
    if person.habit in ("bald", "shaved"):
        return str(generator.choice([person.habit, "beanie"], p=[0.8, 0.2]))
    choices = ["swept", "fringe", "medium", "beanie"] if not person.male else ["short", "swept", "medium", "beanie"]
    return str(generator.choice(choices, p=[0.35, 0.25, 0.28, 0.12]))
