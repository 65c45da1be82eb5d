"""What three printed numbers imply, by hand and against models that print them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from HER2NomogramLib.errors import InputError
from HER2NomogramLib.printed_ratio import check_printed_ratio


def test_by_hand():
    # ln(6.87 / 1.38) = 1.60508; over 2 · 1.95996 it is 0.40947; ln 3.08 = 1.12493, and 1.12493 / 0.40947 = 2.7473.
    printed = check_printed_ratio("3.08", "1.38", "6.87")
    assert printed.standard_error == pytest.approx(0.40947, abs=1e-5)
    assert printed.z == pytest.approx(2.7473, abs=1e-4)
    assert printed.p == pytest.approx(0.00601, abs=1e-5)
    assert printed.middle == pytest.approx(math.sqrt(1.38 * 6.87))
    assert printed.belongs and str(printed) == "3.08 (1.38 to 6.87)"


def test_a_wald_interval_gives_back_its_model():
    sm = pytest.importorskip("statsmodels.api")
    rng = np.random.default_rng(3)
    x = rng.normal(size=200)
    y = (rng.random(200) < 1 / (1 + np.exp(-0.6 * x))).astype(int)
    fit = sm.Logit(y, sm.add_constant(x)).fit(disp=0)
    low, high = np.exp(fit.conf_int()[1])
    printed = check_printed_ratio(f"{np.exp(fit.params[1]):.2f}", f"{low:.2f}", f"{high:.2f}")
    assert printed.belongs
    assert printed.p_range[0] <= fit.pvalues[1] <= printed.p_range[1]
    assert printed.standard_error == pytest.approx(fit.bse[1], rel=0.02)


def test_all_that_rounds_to_the_numbers_is_within_the_ranges():
    printed = check_printed_ratio("1.9", "1.1", "3.3")
    rng = np.random.default_rng(0)
    for value, low, high in rng.uniform([1.85, 1.05, 3.25], [1.95, 1.15, 3.35], (200, 3)):
        exact = check_printed_ratio(float(value), float(low), float(high))
        assert printed.p_range[0] - 1e-9 <= exact.p <= printed.p_range[1] + 1e-9
        assert printed.middle_range[0] <= exact.middle <= printed.middle_range[1]


def test_value_that_is_not_the_middle():
    assert not check_printed_ratio("3.50", "1.38", "6.87").belongs
    # An exact interval is not symmetric on the log scale.
    assert not check_printed_ratio("1.94", "0.84", "4.60").belongs
    # One decimal forgives what two do not.
    assert check_printed_ratio("3.1", "1.4", "6.9").belongs


def test_rounding_is_that_of_each_text_and_of_the_longest_number():
    assert check_printed_ratio("3.1", "1.38", "7").rounding == pytest.approx((0.05, 0.005, 0.5))
    assert check_printed_ratio(5.89, 2.42, 14.30).rounding == pytest.approx((0.005, 0.005, 0.005))
    assert str(check_printed_ratio(5.89, 2.42, 14.30)) == "5.89 (2.42 to 14.30)"


def test_a_value_that_rounds_to_one_may_be_one():
    assert check_printed_ratio("1.00", "0.50", "2.00").p_range[1] == 1
    assert check_printed_ratio("1.01", "0.50", "2.00").p_range[1] < 1
    assert check_printed_ratio("0.01", "0.001", "0.09").p_range[1] <= 1


def test_units_off():
    printed = check_printed_ratio("1.95", "0.92", "4.14")
    assert printed.units_off(1.9464, 0.9147, 4.1420) == pytest.approx(0.53)
    assert printed.units_off(1.95, 0.92, 4.17) == pytest.approx(3)


@pytest.mark.parametrize("numbers", [(3, 4, 5), (0, 0, 1), (-1, -2, 3), (2, 0, 4), (2, 2, 2), (1, 0.5, math.inf)])
def test_refusals(numbers):
    with pytest.raises(InputError, match="^--printed: ") as caught:
        check_printed_ratio(*numbers)
    assert "\n" not in str(caught.value)
