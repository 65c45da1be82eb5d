"""The second-largest eigenvalue behind the maximal correlation coefficient of a co-occurrence matrix.

With row sums x and column sums y of the matrix p, pyradiomics takes the eigenvalues of the matrix with the elements
sum over k of p(i,k) p(j,k) / (x(i) y(k) + epsilon). Without epsilon this is similar to A A', where A(i,k) =
p(i,k) / sqrt(x(i) y(k)), whose largest eigenvalue is 1. Few gray levels: all eigenvalues, of A itself where it is
symmetrical. More: Lanczos steps on A A', which touch only elements that are not zero, from a start without the first
eigenvector, which is known.

Epsilon matters for gray levels that hardly occur: x(i) y(k) falls to 1e-11, and what those levels add to the sum
changes by 1e-5. It is added back between the eigenvectors that are known, with a bound on what this leaves out.

Groups of gray levels that never meet have an eigenvalue near 1 each. With two groups or more the second-largest is
known from their sums alone, except where all but one group hardly occur.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.linalg import eigh_tridiagonal

from ..compiled import compiled_reordered

# Up to this many gray levels all eigenvalues are computed at once; beyond the other number that would take too long.
_FEW_LEVELS = 32
_MAXIMUM_DENSE = 800
_EPSILON = float(np.spacing(1.0))
# Relative errors of the eigenvalue that are good enough, of the iteration and of epsilon (half of it remains in the
# root), and the value below which rounding decides whether it is above zero.
_TOLERANCE = 1e-10
_RELATIVE = 1e-8
_UNCERTAIN = 1e-6
_FIRST_STEPS = 24
_MAXIMUM_STEPS = 600
# Elements of all Lanczos vectors together: 64 MB.
_MAXIMUM_BASIS = 8_000_000
_N_LEADING = 6


def maximal_correlation(
    rows: np.ndarray, columns: np.ndarray, counts: np.ndarray, n_levels: int, symmetrical: bool
) -> tuple[float, bool]:
    """The second-largest eigenvalue, whose root is the coefficient.

    Parameters
    ----------
    rows, columns, counts : np.ndarray of int64, shape (n_entries,)
        As of :func:`matrices.cooccurrences`, with one pair at least.
    n_levels : int
        At least 2.
    symmetrical : bool
        Whether the matrix is.

    Returns
    -------
    value : float
        NaN where it has not been found in reasonable time.
    certain : bool
        Whether it is not so near zero that its sign is rounding.
    """
    row_at, row_sums = _without_empty(rows, counts, n_levels)
    column_at, column_sums = (row_at, row_sums) if symmetrical else _without_empty(columns, counts, n_levels)
    if len(row_sums) == 1:
        return 0.0, True  # all other rows of pyradiomics' matrix are zero
    rows, columns = row_at[rows], column_at[columns]
    value = None
    if len(row_sums) > _FEW_LEVELS:
        value = _sparse(rows, columns, counts, row_sums, column_sums)
    elif symmetrical:
        value = _symmetric(rows, columns, counts, row_sums)
    if value is None and len(row_sums) <= _MAXIMUM_DENSE:
        value = _dense(rows, columns, counts, row_sums, column_sums)
    return (math.nan, False) if value is None else (value, value > _UNCERTAIN)


def _without_empty(positions: np.ndarray, counts: np.ndarray, n_levels: int) -> tuple[np.ndarray, np.ndarray]:
    sums = np.bincount(positions, weights=counts, minlength=n_levels)
    kept = sums > 0
    return np.cumsum(kept) - 1, sums[kept] / counts.sum()


def _dense(rows, columns, counts, row_sums, column_sums) -> float:
    p = np.zeros((len(row_sums), len(column_sums)))
    p[rows, columns] = counts / counts.sum()
    values = np.linalg.eigvals((p / (np.outer(row_sums, column_sums) + _EPSILON)) @ p.T)
    values.sort()
    return float(values[-2].real)


def _symmetric(rows, columns, counts, sums) -> float | None:
    """From the eigenvalues of a symmetrical matrix, which are found much faster; None where epsilon disturbs them."""
    expected = sums[rows] * sums[columns]
    weights = counts / counts.sum() / np.sqrt(expected)
    lost = weights * (_EPSILON / (expected + _EPSILON))
    table = np.zeros((len(sums), len(sums)))
    table[rows, columns] = weights
    # No eigenvalue of a symmetrical matrix moves by more than the norm of what is added to it.
    norm = math.sqrt(lost @ lost)
    if norm < _RELATIVE:
        value = float(np.sort(np.linalg.eigvalsh(table) ** 2)[-2])
        if norm < _RELATIVE * value:
            return value
    roots, vectors = np.linalg.eigh(table)
    table[rows, columns] = -lost
    # What epsilon adds, between the eigenvectors.
    change = (vectors.T @ table @ vectors) * roots
    values = roots**2
    second = np.argsort(values)[-2]
    away = np.delete(values[second] - values, second)
    mixed = np.delete(change[second] * change[:, second], second)
    gap = np.abs(away).min()
    if not (norm < 0.1 * gap and norm**3 < _RELATIVE * values[second] * gap**2):
        return None
    return float(values[second] + change[second, second] + (mixed / away).sum())


def _sparse(rows, columns, counts, row_sums, column_sums) -> float | None:
    p = counts / counts.sum()
    expected = row_sums[rows] * column_sums[columns]
    weights = p / np.sqrt(expected)
    group_of, n_groups = _groups(rows, columns, len(row_sums), len(column_sums))
    group_sums = np.bincount(group_of, weights=row_sums, minlength=n_groups)
    lost = np.bincount(group_of[rows], weights=p * _EPSILON / (expected + _EPSILON), minlength=n_groups)
    of_groups = np.sort(1.0 - lost / group_sums)
    if n_groups > 1 and 1.0 - of_groups[-2] < _RELATIVE:
        return float(of_groups[-2])
    # What is added to every element of A for epsilon.
    added = -weights * _EPSILON / (expected + _EPSILON)
    first = np.sqrt(row_sums / group_sums[group_of])
    leading = _leading(rows, columns, weights, added, group_of, first, len(column_sums))
    if leading is None:
        return None
    return float(np.sort(np.append(of_groups, leading))[-2])


def _leading(rows, columns, weights, added, group_of, first, n_columns) -> float | None:
    n_rows = len(first)
    limit = min(n_rows, _MAXIMUM_STEPS, _MAXIMUM_BASIS // n_rows)
    basis = np.zeros((limit + 1, n_rows))
    diagonal, beside = np.zeros(limit), np.zeros(limit)
    # Any start will do that is no eigenvector; this one is the same every time.
    basis[0] = np.cos(1.0 + 2.4 * np.arange(n_rows))
    done, wanted, ended = 0, min(_FIRST_STEPS, limit), False
    while not ended:
        done, ended = _lanczos(
            rows, columns, weights, group_of, first, n_columns, basis, diagonal, beside, done, wanted
        )
        n_leading = min(_N_LEADING + 1, done)
        values, vectors = eigh_tridiagonal(
            diagonal[:done], beside[: done - 1], select="i", select_range=(done - n_leading, done - 1)
        )
        values, vectors = values[::-1], vectors[:, ::-1]
        left = abs(beside[done - 1] * vectors[-1, 0])
        gap = max(values[0] - values[1], left, 1e-300) if n_leading > 1 else 1.0
        error = min(left, left**2 / gap)
        if ended or (left < 1e-5 and error < _TOLERANCE * values[0]):
            break
        if done >= limit:
            if error < _RELATIVE * values[0]:
                break
            return None
        wanted = min(limit, done + max(12, done // 3))
    ritz = np.ascontiguousarray((basis[:done].T @ vectors).T)
    return _with_epsilon(rows, columns, weights, added, group_of, first, n_columns, values, ritz)


def _with_epsilon(rows, columns, weights, added, group_of, first, n_columns, values, ritz) -> float | None:
    """The largest eigenvalue with epsilon, from the leading ones without; None where the rest matters."""
    kept = ritz[: max(1, len(ritz) - 1)]
    change = np.array([_product(rows, columns, weights, added, v, len(first), n_columns) for v in kept])
    inner = kept @ change.T
    corrected = np.linalg.eigvals(np.diag(values[: len(kept)]) + inner)
    top = float(corrected.real.max())
    opposite = _product(rows, columns, added, weights, kept[0], len(first), n_columns)
    gaps = (max(1.0 - values[0], 1e-15), max(values[0] - values[-1], 1e-15) if len(ritz) > 1 else 1.0)
    norms = []
    for vector in (change[0], opposite):
        known = np.bincount(group_of, weights=vector * first)[group_of] * first
        norms.append((np.linalg.norm(known), np.linalg.norm(vector - known - kept.T @ (kept @ vector))))
    bound = sum(norms[0][k] * norms[1][k] / gaps[k] for k in (0, 1))
    return top if bound < _RELATIVE * top else None


@compiled_reordered
def _groups(rows, columns, n_rows, n_columns):
    """Rows that are joined by columns, by union and find."""
    parent = np.arange(n_rows + n_columns)
    for k in range(rows.size):
        a, b = rows[k], n_rows + columns[k]
        while parent[a] != a:
            parent[a] = parent[parent[a]]
            a = parent[a]
        while parent[b] != b:
            parent[b] = parent[parent[b]]
            b = parent[b]
        if a != b:
            parent[max(a, b)] = min(a, b)
    group_of = np.empty(n_rows, dtype=np.int64)
    n_groups = 0
    for row in range(n_rows):
        a = row
        while parent[a] != a:
            a = parent[a]
        # A group is named after its first row, which comes before all others.
        if a == row:
            group_of[row] = n_groups
            n_groups += 1
        else:
            group_of[row] = group_of[a]
    return group_of, n_groups


@compiled_reordered
def _product(rows, columns, left, right, vector, n_rows, n_columns):
    """``L (R' v)`` for two matrices with the same elements that are not zero."""
    middle, result = np.zeros(n_columns), np.zeros(n_rows)
    for k in range(rows.size):
        middle[columns[k]] += left[k] * vector[rows[k]]
    for k in range(rows.size):
        result[rows[k]] += right[k] * middle[columns[k]]
    return result


@compiled_reordered
def _take_out(vector, group_of, first):
    """Remove the eigenvectors of the groups, of which no two share a row."""
    shares = np.zeros(vector.size)
    for row in range(vector.size):
        shares[group_of[row]] += first[row] * vector[row]
    for row in range(vector.size):
        vector[row] -= shares[group_of[row]] * first[row]


@compiled_reordered
def _length(vector):
    total = 0.0
    for k in range(vector.size):
        total += vector[k] * vector[k]
    return np.sqrt(total)


@compiled_reordered
def _scale(vector, factor, result):
    for k in range(vector.size):
        result[k] = factor * vector[k]


@compiled_reordered
def _lanczos(rows, columns, weights, group_of, first, n_columns, basis, diagonal, beside, done, wanted):
    """Lanczos steps with full orthogonalization from ``done`` to ``wanted``, fewer where the space is complete."""
    n_rows = first.size
    if done == 0:
        _take_out(basis[0], group_of, first)
        _scale(basis[0], 1.0 / _length(basis[0]), basis[0])
    while done < wanted:
        vector = _product(rows, columns, weights, weights, basis[done], n_rows, n_columns)
        _take_out(vector, group_of, first)
        for again in range(2):
            for step in range(done, -1, -1):
                share = 0.0
                for row in range(n_rows):
                    share += vector[row] * basis[step, row]
                for row in range(n_rows):
                    vector[row] -= share * basis[step, row]
                if step == done and again == 0:
                    diagonal[done] = share
            _take_out(vector, group_of, first)
        length = _length(vector)
        beside[done] = length
        done += 1
        if length < 1e-13:
            return done, True
        _scale(vector, 1.0 / length, basis[done])
    return done, False
