"""Regions of a lesion against their definition, counted pixel by pixel, and against Slicer's own margin filter."""

from __future__ import annotations

import math
import platform
import tracemalloc

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from HER2NomogramLib import regions as regions_module
from HER2NomogramLib.errors import InputError
from HER2NomogramLib.regions import (
    INTRATUMORAL,
    MINIMUM_PIXELS,
    Region,
    check_margins,
    feret_diameter_mm,
    make_regions,
    region_names,
    region_warnings,
)

# Spacings of the last group are sums of powers of two: distances are exact in single precision, ties included.
SPACINGS = [(0.1, 0.1), (0.0941, 0.0941), (0.2, 0.3), (0.35, 0.14), (0.25, 0.25), (0.5, 0.25)]
EXACT_SPACINGS = SPACINGS[-2:]


def disk(shape, center, radius):
    rows, columns = np.indices(shape)
    return (rows - center[0]) ** 2 + (columns - center[1]) ** 2 <= radius**2


def squared_distance(lesion, spacing):
    """Squared distance in mm2 of each pixel's center to the nearest lesion pixel's center, by trying them all."""
    x_mm, y_mm = spacing
    # The nearest lesion pixel is never one with lesion on all four sides.
    framed = np.pad(lesion, 1)
    inner = framed[:-2, 1:-1] & framed[2:, 1:-1] & framed[1:-1, :-2] & framed[1:-1, 2:]
    edge = np.argwhere(lesion & ~inner)
    rows, columns = np.indices(lesion.shape)
    nearest = np.full(lesion.shape, np.inf)
    for row, column in edge:
        np.minimum(nearest, ((rows - row) * y_mm) ** 2 + ((columns - column) * x_mm) ** 2, out=nearest)
    nearest[lesion] = 0.0
    return nearest


def framed_squared_distance(lesion, spacing, reach_mm):
    """The same as if the image went on beyond its border; the second value marks what is beyond."""
    pads = [(math.ceil(reach_mm / step) + 1,) * 2 for step in reversed(spacing)]
    beyond = np.pad(np.zeros_like(lesion), pads, constant_values=True)
    return squared_distance(np.pad(lesion, pads), spacing), beyond


def ties(distance, margin):
    """Pixels at the margin itself, which rounding may put on either side."""
    return np.abs(distance - margin**2) <= 1e-4


@st.composite
def lesions(draw, touching=True):
    """Random blobs: unions of disks, some with holes, at random places, across the border or not."""
    shape = (draw(st.integers(14, 44)), draw(st.integers(14, 44)))
    lesion = np.zeros(shape, bool)
    low = -2 if touching else 6
    for hole in draw(st.lists(st.sampled_from([False, False, False, True]), min_size=1, max_size=5)):
        center = [draw(st.integers(low, size - low - 1)) for size in shape]
        radius = draw(st.floats(1.0, 6.0))
        found = disk(shape, center, radius)
        lesion = lesion & ~found if hole else lesion | found
    assume(lesion.sum() >= MINIMUM_PIXELS and min(np.ptp(index) for index in np.nonzero(lesion)) >= 1)
    assume(lesion.sum() <= 0.9 * lesion.size)
    return lesion


spacings = st.tuples(st.floats(0.05, 0.6), st.floats(0.05, 0.6)) | st.floats(0.05, 0.6).map(lambda s: (s, s))
margin_sets = st.lists(st.sampled_from([0.5, 0.8, 1.0, 2.0, 2.5, 3.3, 5.0]), min_size=1, max_size=3, unique=True)
quick = settings(max_examples=60, deadline=None)


def regions_or_refusal(lesion, spacing, margins, available, fewest):
    """Regions, or None where the refusal of a ring with too few pixels is right."""
    try:
        regions = make_regions(lesion, spacing, margins, available)
    except InputError as error:
        assert "ring" in str(error)
        assert fewest < MINIMUM_PIXELS
        return None
    return regions


# --- Rings ------------------------------------------------------------------------------------------------------------


@quick
@given(lesions(), spacings, margin_sets, st.integers(0, 2**32 - 1) | st.none())
def test_regions_by_definition(lesion, spacing, margins, seed):
    available = None if seed is None else np.random.default_rng(seed).random(lesion.shape) < 0.7
    assume(available is None or lesion.sum() <= 0.9 * (available | lesion).sum())
    usable = np.ones_like(lesion) if available is None else available
    distance, beyond = framed_squared_distance(lesion, spacing, max(margins))
    inside = distance[~beyond].reshape(lesion.shape)
    candidates = ~lesion & usable
    fewest = int((candidates & (inside <= min(margins) ** 2) & ~ties(inside, min(margins))).sum())
    regions = regions_or_refusal(lesion, spacing, margins, available, fewest)
    if regions is None:
        return
    for margin in margins:
        ring = regions[f"peritumoral_{margin:g}mm"]
        sure = ~ties(inside, margin)
        assert (ring.mask == (candidates & (inside <= margin**2)))[sure].all()
        assert not (ring.mask & ~candidates).any()
        outside = distance > 0
        least = int((outside & (distance <= margin**2) & ~ties(distance, margin)).sum())
        most = int((outside & ((distance <= margin**2) | ties(distance, margin))).sum())
        kept = int(ring.mask.sum())
        assert kept / most <= ring.kept_fraction * (1 + 1e-12)
        assert ring.kept_fraction <= kept / max(least, kept) * (1 + 1e-12)
        combined = regions[f"combined_{margin:g}mm"]
        assert (combined.mask == (ring.mask | lesion)).all()
        assert combined.margin_mm == ring.margin_mm == margin
        assert combined.kept_fraction == ring.kept_fraction


@pytest.mark.parametrize("spacing", EXACT_SPACINGS)
@pytest.mark.parametrize("margin", [0.5, 1.0, 2.5, 5.0])
def test_pixels_at_the_margin_itself_belong_to_the_ring(spacing, margin):
    lesion = disk((90, 90), (45, 45), 6)
    distance = squared_distance(lesion, spacing)
    assert (distance == margin**2).any()
    ring = make_regions(lesion, spacing, [margin])[f"peritumoral_{margin:g}mm"]
    assert (ring.mask == (~lesion & (distance <= margin**2))).all()
    assert ring.kept_fraction == 1.0


@pytest.mark.parametrize("spacing", EXACT_SPACINGS)
@pytest.mark.parametrize("center", [(2, 40), (77, 40), (40, 3), (40, 76), (0, 0), (79, 79), (20, 60)])
def test_ring_cut_at_the_border_is_counted_against_the_uncut_ring(spacing, center):
    lesion = disk((80, 80), center, 7)
    regions = make_regions(lesion, spacing, (2.0, 5.0))
    distance, beyond = framed_squared_distance(lesion, spacing, 5.0)
    for margin in (2.0, 5.0):
        whole = (distance <= margin**2) & (distance > 0)
        ring = regions[f"peritumoral_{margin:g}mm"]
        assert ring.mask.sum() == (whole & ~beyond).sum()
        assert ring.kept_fraction == pytest.approx((whole & ~beyond).sum() / whole.sum(), rel=1e-12)


def test_half_a_ring_is_left_at_a_straight_border():
    # Mirrored at the border the lesion and its ring are whole, so that the image has half of both.
    lesion = disk((161, 161), (80, 80), 20)[80:] & (np.indices((81, 161))[0] > 0)
    ring = make_regions(lesion, (0.25, 0.25), (5.0,))["peritumoral_5mm"]
    assert 0.5 < ring.kept_fraction < 0.75
    whole = make_regions(np.pad(lesion, 30), (0.25, 0.25), (5.0,))["peritumoral_5mm"]
    assert whole.kept_fraction == 1.0
    assert ring.kept_fraction == pytest.approx(ring.mask.sum() / whole.mask.sum(), rel=1e-12)


def test_full_size_mammogram():
    shape, spacing = (1600, 1300), (0.07, 0.07)
    lesion = disk(shape, (900, 1000), 60)
    window = (slice(680, 1120), slice(780, 1220))
    distance = squared_distance(lesion[window], spacing)
    for _ in range(3):
        regions = make_regions(lesion, spacing)
        for margin in (5.0, 10.0):
            expected = np.zeros(shape, bool)
            expected[window] = ~lesion[window] & (distance <= margin**2)
            assert (regions[f"peritumoral_{margin:g}mm"].mask == expected).all()
            assert regions[f"peritumoral_{margin:g}mm"].kept_fraction == 1.0


@quick
@given(lesions(), spacings)
def test_rings_grow_with_the_margin(lesion, spacing):
    try:
        regions = make_regions(lesion, spacing, (1.0, 2.0, 4.0))
    except InputError:
        assume(False)
    inner, middle, outer = (regions[f"peritumoral_{margin}mm"].mask for margin in (1, 2, 4))
    assert not (inner & ~middle).any() and not (middle & ~outer).any()
    assert not (outer & lesion).any()


def test_spacing_is_x_then_y():
    lesion = disk((60, 60), (30, 30), 4)
    ring = make_regions(lesion, (0.25, 0.5), (2.0,))["peritumoral_2mm"].mask
    rows, columns = np.nonzero(ring)
    assert (columns.min(), columns.max()) == (30 - 4 - 8, 30 + 4 + 8)
    assert (rows.min(), rows.max()) == (30 - 4 - 4, 30 + 4 + 4)


# --- The same as on the whole grid, where single precision decides by the place in the image --------------------------


def squared_distance_by_itk(lesion, spacing):
    image = sitk.GetImageFromArray(lesion.astype(np.uint8))
    image.SetSpacing([float(value) for value in spacing])
    distance = sitk.SignedMaurerDistanceMap(image, squaredDistance=True, useImageSpacing=True, insideIsPositive=False)
    return sitk.GetArrayFromImage(distance)


def check_against_the_whole_grid(lesion, spacing, margins):
    """Masks and kept fractions, bit for bit."""
    distance = squared_distance_by_itk(lesion, spacing)
    pads = []
    for axis, step in enumerate(reversed(spacing)):
        hits = np.flatnonzero(lesion.any(axis=1 - axis))
        reach = math.ceil(max(margins) / step) + 1
        pads.append((max(reach - int(hits[0]), 0), max(int(hits[-1]) + 1 + reach - lesion.shape[axis], 0)))
    beyond = np.pad(np.zeros_like(lesion), pads, constant_values=True)
    framed = squared_distance_by_itk(np.pad(lesion, pads), spacing) if np.any(pads) else distance
    regions = make_regions(lesion, spacing, margins)
    for margin in margins:
        expected = (distance <= margin**2) & ~lesion
        ring, combined = regions[f"peritumoral_{margin:g}mm"], regions[f"combined_{margin:g}mm"]
        np.testing.assert_array_equal(ring.mask, expected)
        np.testing.assert_array_equal(combined.mask, expected | lesion)
        kept = int(expected.sum())
        assert ring.kept_fraction == kept / (kept + int(((framed <= margin**2) & beyond).sum()))


def scattered_disks(rng, shape, center):
    """Disks and their holes within 60 pixels of a place."""
    lesion = np.zeros(shape, bool)
    for _ in range(rng.integers(1, 6)):
        lesion |= disk(shape, center + rng.integers(-60, 61, 2), rng.uniform(5, 40))
    return lesion & ~disk(shape, center + rng.integers(-60, 61, 2), rng.uniform(0, 20))


def arc(shape, center, radius):
    """From the center all of its inner edge is equally near, as far as there are such pixels."""
    return disk(shape, center, radius + 9) & ~disk(shape, center, math.nextafter(radius, 0))


@pytest.mark.parametrize("spacing", [(0.1, 0.1), (0.05, 0.05), (0.07, 0.07), (0.094090909, 0.094090909), (0.2, 0.1)])
@pytest.mark.parametrize("seed", range(6))
def test_rings_are_those_of_the_whole_grid(spacing, seed):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(150, 700, 2))
    check_against_the_whole_grid(scattered_disks(rng, shape, rng.integers(60, 100, 2)), spacing, (0.5, 2.5, 5.0, 7.1))
    center = np.subtract(shape, rng.integers(0, 70, 2))
    check_against_the_whole_grid(scattered_disks(rng, shape, center) | rectangle(5, 5, shape), spacing, (5.0, 10.0))


@pytest.mark.parametrize("radius", [25, 50, 65])
def test_pixels_that_many_lesion_pixels_are_equally_near_to(radius):
    for place in (100, 233, 311):
        lesion = arc((420, 460), (place, place + 37), radius)
        check_against_the_whole_grid(lesion, (0.1, 0.1), (2.5, 5.0, 6.5))


def test_rings_are_those_of_the_whole_grid_on_a_mammogram():
    lesion = disk((4096, 3328), (3700, 2900), 70)
    check_against_the_whole_grid(lesion, (0.1, 0.1), (2.5, 5.0, 7.5, 10.0))


rounding_is_known = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="other processors may multiply and add in one step"
)


@pytest.mark.parametrize("doubt", [pytest.param("none", marks=rounding_is_known), "too many pairs", "other rounding"])
def test_only_where_the_box_cannot_tell_the_whole_grid_does(doubt, monkeypatch):
    lesion = disk((420, 460), (233, 270), 40)
    assert (np.abs(squared_distance(lesion, (0.1, 0.1)) - 25.0) < 1e-9).any()
    regions_module._rounding_is_known()  # asked only once, on a grid of its own
    if doubt == "too many pairs":
        monkeypatch.setattr(regions_module, "_MOST_PAIRS", 0)
    elif doubt == "other rounding":
        monkeypatch.setattr(regions_module, "_rounding_is_known", lambda: False)
    grids = []
    by_itk = regions_module._squared_distance
    monkeypatch.setattr(regions_module, "_squared_distance", lambda a, mm: grids.append(a.shape) or by_itk(a, mm))
    check_against_the_whole_grid(lesion, (0.1, 0.1), (5.0,))
    reach = 40 + 51 + 1
    whole = (233 + reach, 270 + reach)
    assert grids == [(2 * reach - 1, 2 * reach - 1), *([] if doubt == "none" else [whole])]


@rounding_is_known
def test_this_build_of_itk_rounds_as_is_known():
    # Where it does not, rings are right all the same, but take the time of the whole grid.
    assert regions_module._rounding_is_known()


def test_no_more_full_size_arrays_are_made_than_there_are_regions():
    lesion = disk((2048, 1664), (1000, 800), 60)
    available = np.ones_like(lesion)
    tracemalloc.start()
    regions = make_regions(lesion, (0.1, 0.1), (5.0, 10.0), available)
    made = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    region_warnings(regions, available)
    feret_diameter_mm(lesion, (0.1, 0.1))
    more = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert regions[INTRATUMORAL].mask is lesion
    assert made < 5 * lesion.size
    assert more < 0.5 * lesion.size


# --- The same as Slicer's Margin effect -------------------------------------------------------------------------------


def slicer_ring(lesion, spacing, margin_mm):
    """What ``vtkITKImageMargin``, the filter of Segment Editor's Margin effect, adds to a lesion."""
    pytest.importorskip("slicer", reason="slicer-core is not installed")
    import vtk
    from slicer import vtkITKImageMargin
    from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

    data = vtk.vtkImageData()
    data.SetDimensions(lesion.shape[1], lesion.shape[0], 1)
    data.SetSpacing(*spacing, 1.0)
    data.GetPointData().SetScalars(numpy_to_vtk(lesion.astype(np.uint8).ravel(), deep=True))
    effect = vtkITKImageMargin()
    effect.SetInputData(data)
    effect.CalculateMarginInMMOn()
    effect.SetOuterMarginMM(margin_mm)
    effect.Update()
    grown = vtk_to_numpy(effect.GetOutput().GetPointData().GetScalars()).reshape(lesion.shape) > 0
    return grown & ~lesion


@quick
@given(lesions(), spacings | st.sampled_from(SPACINGS), st.sampled_from([0.5, 0.7, 1.0, 2.0, 2.5, 5.0, 7.1, 10.0]))
def test_rings_are_those_of_slicers_margin_effect(lesion, spacing, margin):
    expected = slicer_ring(lesion, spacing, margin)
    regions = regions_or_refusal(lesion, spacing, [margin], None, int(expected.sum()))
    if regions is not None:
        assert (regions[f"peritumoral_{margin:g}mm"].mask == expected).all()


@pytest.mark.parametrize("spacing", [(0.1, 0.1), (0.05, 0.05), (0.2, 0.3), (0.0941, 0.0941)])
def test_rings_are_those_of_slicers_margin_effect_on_a_mammogram(spacing):
    # With 0.1 mm many pixels are at exactly 5 mm, and single precision decides by their place in the image.
    for center in ((1300, 1100), (700, 150), (40, 1330)):
        lesion = disk((1500, 1400), center, 50)
        regions = make_regions(lesion, spacing, (2.5, 5.0, 10.0))
        for margin in (2.5, 5.0, 10.0):
            assert (regions[f"peritumoral_{margin:g}mm"].mask == slicer_ring(lesion, spacing, margin)).all()


# --- Available area ---------------------------------------------------------------------------------------------------


def test_rings_stay_in_the_available_area_and_the_lesion_stays_as_drawn():
    lesion = disk((80, 80), (40, 40), 10)
    available = np.indices(lesion.shape)[1] < 45  # cuts through the lesion, too
    free = make_regions(lesion, (0.25, 0.25), (2.0, 5.0))
    cut = make_regions(lesion, (0.25, 0.25), (2.0, 5.0), available)
    assert (cut[INTRATUMORAL].mask == lesion).all()
    for margin in ("2mm", "5mm"):
        whole, ring = free[f"peritumoral_{margin}"], cut[f"peritumoral_{margin}"]
        assert (ring.mask == (whole.mask & available)).all()
        assert ring.kept_fraction == ring.mask.sum() / whole.mask.sum()
        assert (cut[f"combined_{margin}"].mask == (ring.mask | lesion)).all()
        assert (cut[f"combined_{margin}"].mask & ~available).any()


def test_a_lesion_that_lies_largely_outside_the_available_area_is_kept():
    lesion = disk((80, 80), (40, 40), 10)
    available = disk((80, 80), (40, 52), 9)
    assert available.sum() < lesion.sum()
    regions = make_regions(lesion, (0.25, 0.25), (2.0,), available)
    assert (regions[INTRATUMORAL].mask == lesion).all()
    assert not (regions["peritumoral_2mm"].mask & ~available).any()


def test_border_and_available_area_count_together():
    lesion = disk((60, 60), (3, 30), 8)
    available = np.indices(lesion.shape)[1] < 30
    ring = make_regions(lesion, (0.25, 0.25), (2.0,), available)["peritumoral_2mm"]
    distance, _ = framed_squared_distance(lesion, (0.25, 0.25), 2.0)
    assert ring.kept_fraction == ring.mask.sum() / ((distance > 0) & (distance <= 4.0)).sum()


def test_inputs_are_left_alone_and_labels_count_as_masks():
    lesion = disk((40, 40), (20, 20), 6)
    available = np.ones_like(lesion)
    copies = lesion.copy(), available.copy()
    expected = make_regions(lesion, (0.25, 0.25), (1.0,), available)
    assert (lesion == copies[0]).all() and (available == copies[1]).all()
    labels = make_regions(lesion.astype(np.uint8) * 7, (0.25, 0.25), [1], available.astype(int))
    for name, region in labels.items():
        assert region.mask.dtype == bool
        assert (region.mask == expected[name].mask).all()


# --- Names and margins ------------------------------------------------------------------------------------------------


def test_default_names_in_order():
    lesion = disk((200, 200), (100, 100), 10)
    regions = make_regions(lesion, (0.25, 0.25))
    names = ["intratumoral", "peritumoral_5mm", "peritumoral_10mm", "combined_5mm", "combined_10mm"]
    assert list(regions) == region_names((5.0, 10.0)) == names
    assert [region.name for region in regions.values()] == names
    assert [region.margin_mm for region in regions.values()] == [None, 5.0, 10.0, 5.0, 10.0]
    assert regions[INTRATUMORAL].kept_fraction == 1.0


def test_margins_are_sorted_and_named_as_short_as_can_be():
    assert region_names([7.5, 2]) == [
        "intratumoral", "peritumoral_2mm", "peritumoral_7.5mm", "combined_2mm", "combined_7.5mm",
    ]  # fmt: skip
    assert list(make_regions(disk((99, 99), (49, 49), 9), (0.25, 0.25), iter([7.5, 2]))) == region_names([2, 7.5])


@pytest.mark.parametrize(
    "margins", [[], [0.4], [30.1], [5, 5.0], [5, 5.0000001], [-5], [0], [math.nan], [math.inf], [5, 31]]
)
def test_wrong_margins_are_refused(margins):
    for call in (check_margins, region_names, lambda m: make_regions(disk((40, 40), (20, 20), 6), (0.2, 0.2), m)):
        with pytest.raises(InputError, match=r"between 0\.5 and 30 mm") as refused:
            call(margins)
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("margin", [0.5, 30.0])
def test_limits_of_margins_are_allowed(margin):
    assert check_margins([margin]) == (margin,)


# --- Refusals ---------------------------------------------------------------------------------------------------------


def rectangle(rows, columns, shape=(60, 60)):
    lesion = np.zeros(shape, bool)
    lesion[20 : 20 + rows, 20 : 20 + columns] = True
    return lesion


@pytest.mark.parametrize(
    ("lesion", "reason"),
    [
        (rectangle(0, 0), "empty"),
        (rectangle(1, 1), "1 pixels"),
        (rectangle(3, 5), "15 pixels"),
        (rectangle(1, 40), "more than one row and column"),
        (rectangle(40, 1), "more than one row and column"),
    ],
    ids=["empty", "one pixel", "15 pixels", "row", "column"],
)
def test_lesions_too_small_for_texture_are_refused(lesion, reason):
    with pytest.raises(InputError, match=reason) as refused:
        make_regions(lesion, (0.2, 0.2))
    assert "\n" not in str(refused.value)


def test_the_smallest_lesion_is_accepted():
    assert make_regions(rectangle(4, 4), (0.2, 0.2), (1.0,))[INTRATUMORAL].mask.sum() == MINIMUM_PIXELS


@pytest.mark.parametrize("outside", [0, 3])
def test_a_lesion_that_fills_the_breast_is_refused(outside):
    breast = disk((80, 80), (40, 40), 30)
    lesion = breast if outside == 0 else disk((80, 80), (40, 40), 30 + outside)
    with pytest.raises(InputError, match="fills the breast"):
        make_regions(lesion, (0.2, 0.2), (1.0,), breast)
    with pytest.raises(InputError, match="fills the breast"):
        make_regions(np.ones((80, 80), bool), (0.2, 0.2), (1.0,))


@pytest.mark.parametrize("left", [0, MINIMUM_PIXELS - 1])
def test_a_ring_with_too_few_pixels_is_refused(left):
    lesion = disk((80, 80), (40, 40), 10)
    ring = make_regions(lesion, (0.25, 0.25), (2.0,))["peritumoral_2mm"].mask
    available = ~ring
    available[tuple(np.argwhere(ring)[:left].T)] = True
    with pytest.raises(InputError, match=f"2 mm ring has {left} pixels"):
        make_regions(lesion, (0.25, 0.25), (2.0, 10.0), available)
    available[tuple(np.argwhere(ring)[:MINIMUM_PIXELS].T)] = True
    assert make_regions(lesion, (0.25, 0.25), (2.0,), available)["peritumoral_2mm"].mask.sum() == MINIMUM_PIXELS


def test_a_margin_narrower_than_a_pixel_is_refused():
    with pytest.raises(InputError, match=r"0\.5 mm ring has 0 pixels.*spacing"):
        make_regions(disk((80, 80), (40, 40), 10), (0.9, 0.9), (0.5,))


# --- Warnings ---------------------------------------------------------------------------------------------------------


def fake_regions(lesion, *kept):
    regions = {INTRATUMORAL: Region(INTRATUMORAL, lesion, None, 1.0)}
    for margin, fraction in zip((5.0, 7.5), kept):
        for kind in ("peritumoral", "combined"):
            name = f"{kind}_{margin:g}mm"
            regions[name] = Region(name, lesion, margin, fraction)
    return regions


def test_no_warning_without_reason():
    assert region_warnings(fake_regions(disk((40, 40), (20, 20), 5), 0.5, 1.0)) == ()


def test_a_ring_of_which_less_than_half_is_left_is_warned_of_once():
    warnings = region_warnings(fake_regions(disk((40, 40), (20, 20), 5), 0.51, 0.4321))
    assert len(warnings) == 1
    assert "43%" in warnings[0] and "7.5 mm" in warnings[0]


@pytest.mark.parametrize("edge", [np.s_[0, 20], np.s_[-1, 20], np.s_[20, 0], np.s_[20, -1]])
def test_a_lesion_at_the_image_border_is_warned_of(edge):
    lesion = np.zeros((40, 40), bool)
    lesion[edge] = True
    assert [w for w in region_warnings(fake_regions(lesion, 0.9, 0.9)) if "border" in w]


def test_warnings_of_real_regions():
    lesion = disk((200, 100), (100, 96), 12)
    available = np.indices(lesion.shape)[0] < 100
    warnings = region_warnings(make_regions(lesion, (0.25, 0.25), (5.0, 10.0), available))
    assert len(warnings) == 3
    assert "border" in warnings[0] and "5 mm" in warnings[1] and "10 mm" in warnings[2]


# --- Diameter ---------------------------------------------------------------------------------------------------------


def feret_by_all_corners(mask, spacing):
    pixels = np.argwhere(mask)[:, ::-1]
    corners = np.unique(np.concatenate([pixels + offset for offset in ((0, 0), (0, 1), (1, 0), (1, 1))]), axis=0)
    corners = corners * np.asarray(spacing)
    return math.sqrt(max(((corners - corner) ** 2).sum(axis=1).max() for corner in corners))


@quick
@given(lesions(), spacings)
def test_feret_diameter_by_all_corners(lesion, spacing):
    assert feret_diameter_mm(lesion, spacing) == pytest.approx(feret_by_all_corners(lesion, spacing), rel=1e-12)


@quick
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), spacings)
def test_feret_diameter_of_scattered_pixels(seed, count, spacing):
    rng = np.random.default_rng(seed)
    mask = np.zeros((25, 31), bool)
    mask[rng.integers(0, 25, count), rng.integers(0, 31, count)] = True
    assert feret_diameter_mm(mask, spacing) == pytest.approx(feret_by_all_corners(mask, spacing), rel=1e-12)


@pytest.mark.parametrize(
    ("mask", "spacing", "expected"),
    [
        (rectangle(1, 1), (0.3, 0.4), 0.5),
        (rectangle(3, 4), (1.0, 1.0), 5.0),
        (rectangle(4, 3), (0.5, 0.5), 2.5),
        (rectangle(1, 40), (0.1, 0.1), math.hypot(4.0, 0.1)),
        (rectangle(40, 1), (0.2, 0.1), math.hypot(4.0, 0.2)),
    ],
)
def test_feret_diameter_of_rectangles(mask, spacing, expected):
    assert feret_diameter_mm(mask, spacing) == pytest.approx(expected, rel=1e-12)


def test_feret_diameter_of_a_disk_is_its_diameter():
    assert feret_diameter_mm(disk((500, 500), (250, 250), 200), (0.1, 0.1)) == pytest.approx(40.0, abs=0.2)


def test_lesion_outside_the_breast_or_in_pieces_is_warned_of():
    lesion = np.zeros((60, 60), dtype=bool)
    lesion[10:20, 10:20] = lesion[40:50, 40:50] = True
    breast = np.ones_like(lesion)
    breast[:, :16] = False
    warnings = " ".join(region_warnings(make_regions(lesion, (0.5, 0.5), (5.0,)), breast))
    assert "70% of the lesion lies in the breast" in warnings and "2 separate pieces" in warnings
    whole = lesion.copy()
    whole[30:] = False
    assert region_warnings(make_regions(whole, (0.5, 0.5), (5.0,)), np.ones_like(whole)) == ()
