"""Random people: weights of MakeHuman's targets for sex, age, ancestry and the face sliders, and size of the head."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lib.human_head.sliders import COMMON, ONE_SIDED_SHARE, SEPARATE, Slider, sliders

ANCESTRIES = ("african", "asian", "caucasian")
SHARES = (0.20, 0.25, 0.55)  # of people with this dominant ancestry
DOMINANT = 0.70  # least share of the dominant ancestry in a person
SEXES = ("female", "male")
# Years at MakeHuman's targets: between two of them, their weights change linearly. MakeHuman's child is 10; 12 is a
# choice, with which the youngest people of photos, of 15, look a little younger.
AGES = {"child": 12.0, "young": 25.0, "old": 90.0}
AVERAGE = "averagemuscle-averageweight"
YOUNGEST, YEARS = 15.0, 65.0
SIZE_SIGMA = 0.035
MACRO_FOLDER = "macrodetails"


@dataclass(frozen=True)
class People:
    """Properties of n people.

    Attributes:
      weights: [n, T] of the targets, none negative.
      size: [n] scale of the head, mean 1.
      male: [n] 0 female to 1 male.
      age: [n] years.
      ancestry: [n, 3] shares in the order of `ANCESTRIES`.
    """

    weights: np.ndarray
    size: np.ndarray
    male: np.ndarray
    age: np.ndarray
    ancestry: np.ndarray


def macro_targets() -> list[str]:
    """Names of the targets for sex, age and ancestry."""
    of_ancestry = [f"{a}-{sex}-{age}" for a in ANCESTRIES for sex in SEXES for age in AGES]
    return of_ancestry + [f"universal-{sex}-{age}-{AVERAGE}" for sex in SEXES for age in AGES]


class Population:
    """The distribution of people over a list of targets.

    Args:
      targets: names of the T targets: those of `macro_targets`, and targets of sliders.
    """

    def __init__(self, targets: Sequence[str]):
        self.targets = tuple(targets)
        self._index = {name: i for i, name in enumerate(self.targets)}
        macro = set(macro_targets())
        self.sliders = sliders(name for name in self.targets if name not in macro)

    def draw(self, generator: np.random.Generator, count: int) -> People:
        """Draws people; women and men alternate.

        Most people are clearly one sex and mainly of one ancestry: averages of everything would all look related.
        """
        deviation = np.abs(generator.normal(0, 0.08, count)).clip(0, 0.5)
        male = np.where(np.arange(count) % 2 == 0, deviation, 1 - deviation)
        age = YOUNGEST + YEARS * generator.beta(1.3, 2.1, count)
        dominant = np.eye(3)[generator.choice(3, count, p=SHARES)]
        ancestry = DOMINANT * dominant + (1 - DOMINANT) * generator.dirichlet([0.35] * 3, count)
        size = 1 + SIZE_SIGMA * generator.normal(size=count)
        weights = np.zeros((count, len(self.targets)))
        self._set_macro(weights, male, age, ancestry)
        common: dict[str, np.ndarray] = {}
        for slider in self.sliders:
            self._set_slider(weights, slider, self._values(generator, slider, count, common))
        return People(weights, size, male, age, ancestry)

    def _set_macro(self, weights: np.ndarray, male: np.ndarray, age: np.ndarray, ancestry: np.ndarray) -> None:
        of_age = _age_weights(age)
        of_sex = np.stack([1 - male, male], axis=1)
        for i, sex in enumerate(SEXES):
            for j, stage in enumerate(AGES):
                both = of_sex[:, i] * of_age[:, j]
                weights[:, self._index[f"universal-{sex}-{stage}-{AVERAGE}"]] = both
                for k, name in enumerate(ANCESTRIES):
                    weights[:, self._index[f"{name}-{sex}-{stage}"]] = both * ancestry[:, k]

    def _values(
        self, generator: np.random.Generator, slider: Slider, count: int, common: dict[str, np.ndarray]
    ) -> np.ndarray:
        """Values [count] of a slider; `common` keeps what the two sides of a pair share."""
        if slider.is_one_sided:
            key = slider.pair or slider.targets[1]
            if key not in common:
                drawn = np.abs(generator.normal(0, slider.sigma, count))
                common[key] = drawn * (generator.random(count) < ONE_SIDED_SHARE)
            return common[key]
        if not slider.pair:
            return slider.mean + slider.sigma * generator.normal(size=count)
        if slider.pair not in common:
            common[slider.pair] = COMMON * generator.normal(size=count)
        own = SEPARATE * generator.normal(size=count)
        return slider.mean + slider.sigma * (common[slider.pair] + own)

    def _set_slider(self, weights: np.ndarray, slider: Slider, values: np.ndarray) -> None:
        first, second = slider.targets
        values = values.clip(-1, 1)
        weights[:, self._index[second]] = values.clip(0, None)
        if first:
            weights[:, self._index[first]] = (-values).clip(0, None)


def _age_weights(age: np.ndarray) -> np.ndarray:
    """[n, 3] weights of the ages of `AGES`, summing to 1."""
    years = list(AGES.values())
    return np.stack([np.interp(age, years, row) for row in np.eye(len(years))], axis=1)


@dataclass(frozen=True)
class Mixture:
    """People as identity coefficients of a model: the mixture of which the model's Gaussian is an approximation.

    Attributes:
      population: the people.
      targets: [T, K] coefficients that each target adds at weight 1.
      offset: [K] coefficients of the base mesh.
      growth: [K] coefficients of the mean shape itself.
      fields: [K, K] lower factor of the smooth fields' covariance.
    """

    population: Population
    targets: np.ndarray
    offset: np.ndarray
    growth: np.ndarray
    fields: np.ndarray

    @classmethod
    def of(cls, people: Mapping[str, np.ndarray]) -> "Mixture":
        """From the arrays of a face model, which name the targets."""
        return cls(
            Population(people["names"].tolist()),
            *(people[name].astype(np.float64) for name in ("targets", "offset", "growth", "fields")),
        )

    def draw(self, generator: np.random.Generator, count: int) -> tuple[np.ndarray, People]:
        """Identity coefficients [count, K] of random people, and these people's properties."""
        people = self.population.draw(generator, count)
        shape = self.offset + people.weights @ self.targets
        shape = shape + generator.normal(size=(count, len(self.fields))) @ self.fields.T
        return people.size[:, None] * shape + (people.size - 1)[:, None] * self.growth, people
