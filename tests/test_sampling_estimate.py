"""A total from a sample: closed forms by hand, and how often the range holds the truth."""

from __future__ import annotations

import math
from random import Random
from statistics import fmean, stdev

import pytest
from scipy.stats import t as student

from imgpipe.sampling.choice import choose
from imgpipe.sampling.estimate import _T, _T_NORMAL, Layer, Point, Range, total
from imgpipe.sampling.survey import File, Survey


def test_what_was_counted_is_no_estimate():
    points = [Point(10, 1.5), Point(20, 2.5)]
    assert total(points, []) == Range(4.0, 4.0, 4.0)
    assert total(points[:1], [Layer(1, 20, (points[1],))]) == Range(4.0, 4.0, 4.0)


def test_one_layer_of_equal_sizes_by_hand():
    """Without differences in size this is the mean times the count (Cochran, section 2.6)."""
    found = total([], [Layer(100, 1000, (Point(10, 4.0), Point(10, 6.0), Point(10, 8.0)))])
    spread = math.sqrt(100**2 * (1 - 3 / 100) * 4.0 / 3) * student.ppf(0.9, 2)
    assert found.about == pytest.approx(600)
    assert found.high == pytest.approx(600 * math.exp(spread / 600), rel=1e-3)
    assert found.low == pytest.approx(600 / math.exp(spread / 600), rel=1e-3)


def test_what_grows_with_the_size_is_exact():
    sizes = [10, 30, 50, 200, 900]
    tried = [Point(size, 3 + 2 * size) for size in (10, 50, 900)]
    found = total([tried[0], tried[2]], [Layer(3, 280, (tried[1],))])
    assert found.about == pytest.approx(sum(3 + 2 * size for size in sizes))
    assert found.high == pytest.approx(found.low)


def test_certain_images_stand_for_themselves_alone():
    drawn = (Point(10, 1.0), Point(10, 1.0))
    odd = total([Point(10, 1000.0)], [Layer(100, 1000, drawn)])
    assert odd.about == pytest.approx(1100)


def test_nothing_at_all():
    assert total([], [Layer(50, 0, (Point(0, 0.0), Point(0, 0.0)))]) == Range(0.0, 0.0, 0.0)


def test_the_range_never_falls_below_what_was_seen():
    found = total([Point(10, 5.0)], [Layer(1000, 10_000, (Point(10, 0.0), Point(10, 90.0)))])
    assert 95 <= found.low <= found.about <= found.high


def test_what_differs_by_itself_makes_a_range_wider():
    e = math.e
    found = Range(10.0, 10 / e**3, 10 * e**4).widened(e**3)
    assert (found.about, found.low, found.high) == pytest.approx((10, 10 / e ** math.sqrt(18), 10 * e**5))
    assert Range(10.0, 10.0, 10.0).widened(2).low == pytest.approx(5)
    assert Range(0.0, 0.0, 0.0).widened(2) == Range(0.0, 0.0, 0.0)


def test_students_t_is_the_table_of_scipy():
    assert pytest.approx([student.ppf(0.9, row) for row in range(1, len(_T) + 1)], abs=6e-4) == _T
    assert pytest.approx(student.ppf(0.9, 10**6), abs=1e-3) == _T_NORMAL


def seconds(file: File, rng: Random) -> float:
    return (0.002 + 4e-8 * file.size) * rng.lognormvariate(0, 0.3)


def output(file: File, rng: Random) -> float:
    return 10_000 * rng.lognormvariate(0, 0.2)  # as of thumbnails: whatever the input's size


@pytest.mark.parametrize("law", [seconds, output])
def test_ranges_hold_the_truth_about_four_times_in_five(law):
    results = [trial(seed, law) for seed in range(120)]
    ratios = [found.about / truth for found, truth in results]
    held = fmean(found.low <= truth <= found.high for found, truth in results)
    assert abs(fmean(ratios) - 1) < 3 * stdev(ratios) / math.sqrt(len(ratios)) + 0.01
    assert 0.7 <= held <= 0.97
    assert fmean(found.high / found.low for found, _ in results) < 2.5


def trial(seed: int, law) -> tuple[Range, float]:
    rng = Random(seed)
    survey, values = Survey(12, rng), {}
    for number in range(250):
        file = File(b"%d.jpg" % number, int(rng.lognormvariate(14, 1.0)))
        values[file] = law(file, rng)
        survey.add(file)
    sample = choose(survey, 12, {}, rng)
    layers = [
        Layer(s.count, s.bytes, tuple(Point(f.size, values[f]) for f in s.drawn)) for s in sample.strata
    ]
    return total([Point(f.size, values[f]) for f in sample.certain], layers), sum(values.values())
