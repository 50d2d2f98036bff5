"""A total over the whole folder, from the images that were tried, with its range.

The generalised regression estimator (Särndal, Swensson and Wretman, *Model Assisted Survey Sampling*, 1992,
section 6.4). A line in the size of a file, fitted to the images that were tried, gives every image a
*prediction*, and their sum is known exactly, because count and bytes of the folder are. What the line
misses, the *residuals*, is estimated from the draw and added::

    total = a·N + b·X + Σ certain residuals + Σ strata (N_h / n_h) · Σ drawn residuals
    variance = Σ strata N_h² · (1 − n_h / N_h) · s_h² / n_h          s_h²: of the residuals in stratum h

So the line need not be right: a poor one makes the range wider, not the total wrong. The range holds the true
total about four times in five: Student's t with Satterthwaite's degrees of freedom (Cochran, *Sampling
Techniques*, 3rd edition, formula 5.16), on a logarithmic scale, since a total is never negative and errors
are factors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, variance

#: The share of ranges that hold the truth.
CONFIDENCE = 0.8

# Student's t, two-sided 80 %, for 1, 2, … degrees of freedom; beyond, that of the normal distribution.
_T = (3.078, 1.886, 1.638, 1.533, 1.476, 1.440, 1.415, 1.397, 1.383, 1.372, 1.363, 1.356, 1.350, 1.345, 1.341)
_T_NORMAL = 1.282
_LOG_MAX = 20.0  # a range of a factor of 10⁸ says as much as any wider one


@dataclass(frozen=True, slots=True)
class Point:
    """An image that was tried: its size in bytes, and what is to be summed over the folder."""

    size: int
    value: float


@dataclass(frozen=True, slots=True)
class Layer:
    """A stratum: its images, their bytes, and the points of those that were drawn."""

    count: int
    bytes: int
    drawn: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """An estimate, and between which bounds the truth lies four times in five."""

    about: float
    low: float
    high: float

    def scaled(self, factor: float, more: float = 0.0) -> Range:
        """Each of the three times ``factor``, plus ``more``."""
        return Range(*(value * factor + more for value in (self.about, self.low, self.high)))

    def at_least(self, bound: float) -> Range:
        """Each of the three, but never less than ``bound``."""
        return Range(*(max(bound, value) for value in (self.about, self.low, self.high)))

    def widened(self, factor: float) -> Range:
        """As far as it reaches where the truth itself differs by ``factor``, independently of the sample."""
        if self.about <= 0 or self.low <= 0:
            return self
        ratios = self.low / self.about, self.high / self.about
        down, up = (math.hypot(math.log(ratio), math.log(factor)) for ratio in ratios)
        return Range(self.about, self.about / math.exp(down), self.about * math.exp(up))


def total(certain: Sequence[Point], layers: Sequence[Layer]) -> Range:
    """The sum of the values of all images: those that are certain, and those that layers stand for."""
    known = sum(point.value for point in certain) + sum(p.value for one in layers for p in one.drawn)
    if all(len(one.drawn) == one.count for one in layers):
        return Range(known, known, known)
    points = [*certain, *(point for one in layers for point in one.drawn)]
    line = _line(points)
    about = sum(point.value for point in certain) + sum(_layer_total(one, line) for one in layers)
    about = max(about, known)
    spread = _spread(layers, line, _noise(points, line))
    factor = math.exp(min(_LOG_MAX, spread / about)) if about > 0 else 1.0
    return Range(about, max(known, about / factor), about * factor)


@dataclass(frozen=True, slots=True)
class _Line:
    """``value ≈ start + slope · size``."""

    start: float
    slope: float

    def residual(self, point: Point) -> float:
        return point.value - self.start - self.slope * point.size


def _line(points: Sequence[Point]) -> _Line:
    """By weighted least squares; errors are taken to grow with the size of a file, from a constant."""
    mean = fmean(point.size for point in points) + 1
    weights = [1 / (mean + point.size) for point in points]
    sizes, values = [point.size for point in points], [point.value for point in points]
    size, value = fmean(sizes, weights), fmean(values, weights)
    across = sum(w * (x - size) ** 2 for w, x in zip(weights, sizes, strict=True))
    along = sum(w * (x - size) * (y - value) for w, x, y in zip(weights, sizes, values, strict=True))
    slope = along / across if across else 0.0
    return _Line(value - slope * size, slope)


def _layer_total(layer: Layer, line: _Line) -> float:
    missed = fmean(line.residual(point) for point in layer.drawn) if layer.drawn else 0.0
    return layer.count * (line.start + missed) + line.slope * layer.bytes


def _noise(points: Sequence[Point], line: _Line) -> float:
    """The variance of residuals over all points: for layers that are too thin to have their own."""
    free = max(1, len(points) - 2)
    return sum(line.residual(point) ** 2 for point in points) / free


def _spread(layers: Sequence[Layer], line: _Line, noise: float) -> float:
    """Half the width of the range, before it is made a factor."""
    parts, bounds = [], []
    for one in layers:
        drawn = len(one.drawn)
        own = variance([line.residual(point) for point in one.drawn]) if drawn > 1 else noise
        weight = one.count**2 * (1 - drawn / one.count) / max(1, drawn)
        parts.append(weight * own)
        bounds.append((weight * own) ** 2 / max(1, drawn - 1))
    whole = sum(parts)
    free = whole**2 / sum(bounds) if whole > 0 else 1.0
    return _t(free) * math.sqrt(whole)


def _t(free: float) -> float:
    """Student's t for so many degrees of freedom, which may be a fraction: the next lower row."""
    row = max(1, math.floor(free))
    return _T[row - 1] if row <= len(_T) else _T_NORMAL
