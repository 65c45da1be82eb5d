"""The second-largest eigenvalue behind the maximal correlation coefficient of a co-occurrence matrix.

With row sums x and column sums y of the matrix p, pyradiomics takes the eigenvalues of the matrix with the elements
sum over k of p(i,k) p(j,k) / (x(i) y(k) + epsilon). Without epsilon this is similar to A A', where A(i,k) =
p(i,k) / sqrt(x(i) y(k)), whose largest eigenvalue is 1. Lanczos steps on A A' find the next ones, from a start without
the first eigenvector, which is known.

Epsilon matters for gray levels that hardly occur: x(i) y(k) falls to 1e-11, and what those levels add to the sum
changes by 1e-5. It is added back between the eigenvectors that are known, with a bound on what this leaves out.

Groups of gray levels that never meet have an eigenvalue near 1 each. With two groups or more the second-largest is
known from their sums alone, except where all but one group hardly occur.
"""

from __future__ import annotations

import math

import numpy as np

from ..compiled import compiled_reordered

# Up to this many gray levels all eigenvalues can be computed at once, where the steps do not find the second one.
_MAXIMUM_DENSE = 1000
# Up to this many elements the matrix is stored with its zeros (2 MB): one in three or four is not zero.
_MAXIMUM_TABLE = 1 << 18
_EPSILON = float(np.spacing(1.0))
# Relative errors of the eigenvalue that are good enough, of the iteration and of epsilon (half of it remains in the
# root), and the value below which rounding decides whether it is above zero.
_TOLERANCE = 1e-10
# Residual of the eigenvector at which the steps end. Where the start has a share of 0.001 of the wanted one and its
# neighbor lies 1e-8 below, the neighbor comes out first and has a residual of 1e-11.
_RESIDUAL = 1e-11
_RELATIVE = 1e-8
_UNCERTAIN = 1e-6
# Elements that change by less for epsilon are left as they are, though all of them did.
_UNCHANGED = 1e-12
# Share that epsilon takes of a group's eigenvalue from which on it is computed by powers, and where these stop.
_RARE, _MOVED = 1e-6, 1e-13
_FIRST_STEPS = 14
_MAXIMUM_STEPS = 600
# Elements of all Lanczos vectors together: 64 MB.
_MAXIMUM_BASIS = 8_000_000
_N_LEADING = 6


def by_all_eigenvalues(rows: np.ndarray, columns: np.ndarray, counts: np.ndarray) -> tuple[float, bool]:
    """The second-largest eigenvalue by pyradiomics' formula; NaN where there are too many gray levels for that.

    Parameters and results as of :func:`second_eigenvalue`, but for the number of gray levels.
    """
    found_rows, rows = np.unique(rows, return_inverse=True)
    found_columns, columns = np.unique(columns, return_inverse=True)
    if len(found_rows) > _MAXIMUM_DENSE:
        return math.nan, False
    p = np.zeros((len(found_rows), len(found_columns)))
    p[rows.reshape(-1), columns.reshape(-1)] = counts / counts.sum()
    values = np.linalg.eigvals((p / (np.outer(p.sum(axis=1), p.sum(axis=0)) + _EPSILON)) @ p.T)
    second = float(np.sort(values)[-2].real)
    return second, second > _UNCERTAIN


@compiled_reordered
def second_eigenvalue(rows, columns, counts, n_levels):
    """The second-largest eigenvalue, whose root is the coefficient.

    Parameters
    ----------
    rows, columns, counts : np.ndarray of int32, shape (n_entries,)
        As of :func:`matrices.cooccurrences`, with one pair at least.
    n_levels : int
        At least 2.

    Returns
    -------
    value : float
    certain : bool
        False where the value is so near zero that its sign is rounding, and where it has not been found (then it is
        NaN): :func:`by_all_eigenvalues` may.
    """
    shares, total = np.empty(counts.size), 0.0
    for k in range(counts.size):
        total += counts[k]
    for k in range(counts.size):
        shares[k] = counts[k] / total
    rows, row_sums = _without_empty(rows, shares, n_levels)
    columns, column_sums = _without_empty(columns, shares, n_levels)
    if row_sums.size == 1:
        return 0.0, True  # all other rows of pyradiomics' matrix are zero
    group_of, n_groups = _groups(rows, columns, row_sums.size, column_sums.size)
    group_sums, of_groups = np.zeros(n_groups), np.zeros(n_groups)
    for row in range(row_sums.size):
        group_sums[group_of[row]] += row_sums[row]
    of_rows, of_columns = 1.0 / np.sqrt(row_sums), 1.0 / np.sqrt(column_sums)
    weights, lost = np.empty(shares.size), np.empty(shares.size)
    for k in range(shares.size):
        scale = of_rows[rows[k]] * of_columns[columns[k]]
        part = _EPSILON * scale * scale
        weights[k], lost[k] = shares[k] * scale, part / (1.0 + part)
        of_groups[group_of[rows[k]]] += shares[k] * lost[k]
    for group in range(n_groups):
        of_groups[group] = 1.0 - of_groups[group] / group_sums[group]
    if n_groups > 1:
        _improve(rows, columns, shares, row_sums, column_sums, group_of, of_groups)
    order = _order(of_groups, 2)
    largest, second = of_groups[order[0]], of_groups[order[1]] if n_groups > 1 else 0.0
    if n_groups == row_sums.size or largest - second < _RELATIVE * second:
        return second, second > _UNCERTAIN
    first = np.empty(row_sums.size)
    for row in range(first.size):
        first[row] = np.sqrt(row_sums[row] / group_sums[group_of[row]])
    matrix = rows, columns, weights
    band = _band(matrix, row_sums.size, column_sums.size)
    value, error = _leading(matrix, _changes(matrix, lost), band, column_sums.size, group_of, first, n_groups)
    if value + error < second:
        value = second
    elif error < _RELATIVE * value:
        value = min(largest, max(value, second))
    else:
        value = np.nan
    return value, value > _UNCERTAIN


@compiled_reordered
def _improve(rows, columns, shares, row_sums, column_sums, group_of, of_groups):
    """Eigenvalues of groups that hardly occur, by powers of pyradiomics' matrix.

    What epsilon takes from them is known to first order, which is not enough where it takes much.
    """
    rare = np.zeros(of_groups.size, dtype=np.bool_)
    any_rare = False
    for group in range(of_groups.size):
        rare[group] = of_groups[group] < 1.0 - _RARE
        any_rare = any_rare or rare[group]
    right, middle, after = np.ones(row_sums.size), np.empty(column_sums.size), np.empty(row_sums.size)
    above, below = np.empty(of_groups.size), np.empty(of_groups.size)
    step, moved = 0, np.inf
    # The first quotients are the values of first order, so they move only after that.
    while any_rare and step < _MAXIMUM_STEPS and (step < 4 or moved > _MOVED):
        for column in range(middle.size):
            middle[column] = 0.0
        for row in range(after.size):
            after[row] = 0.0
        for k in range(rows.size):
            middle[columns[k]] += shares[k] * right[rows[k]]
        for k in range(rows.size):
            expected = row_sums[rows[k]] * column_sums[columns[k]]
            after[rows[k]] += shares[k] / (expected + _EPSILON) * middle[columns[k]]
        for group in range(of_groups.size):
            above[group], below[group] = 0.0, 0.0
        for row in range(after.size):
            # The row sums are nearly the left eigenvector.
            above[group_of[row]] += row_sums[row] * after[row]
            below[group_of[row]] += row_sums[row] * right[row]
        moved = 0.0
        for group in range(of_groups.size):
            if rare[group]:
                moved = max(moved, abs(above[group] / below[group] - of_groups[group]))
                of_groups[group] = above[group] / below[group]
        for row in range(after.size):
            right[row] = after[row] / of_groups[group_of[row]]
        step += 1


@compiled_reordered
def _without_empty(positions, shares, n_levels):
    """Positions among the gray levels that occur, and the share that each of these has of all pairs."""
    sums, at, n_kept = np.zeros(n_levels), np.empty(n_levels, dtype=np.int32), 0
    for k in range(positions.size):
        sums[positions[k]] += shares[k]
    for level in range(n_levels):
        at[level] = n_kept
        if sums[level] > 0:
            sums[n_kept] = sums[level]
            n_kept += 1
    found = np.empty(positions.size, dtype=np.int32)
    for k in range(positions.size):
        found[k] = at[positions[k]]
    return found, sums[:n_kept]


@compiled_reordered
def _band(matrix, n_rows, n_columns):
    """The matrix A with its zeros, empty where it would be too large, and where each row begins and ends.

    Neighbors have similar gray levels, so that most rows are zero but for a part around the diagonal.
    """
    rows, columns, weights = matrix
    fits = n_rows * n_columns <= _MAXIMUM_TABLE
    table = np.zeros((n_rows, n_columns) if fits else (0, 0))
    begins, ends = np.full(table.shape[0], n_columns), np.zeros(table.shape[0], dtype=np.int64)
    for k in range(rows.size if fits else 0):
        row, column = rows[k], columns[k]
        table[row, column] = weights[k]
        begins[row], ends[row] = min(begins[row], column), max(ends[row], column + 1)
    return table, begins, ends


@compiled_reordered
def _changes(matrix, lost):
    """What epsilon adds to A, where it is worth adding."""
    rows, columns, weights = matrix
    n_changes = 0
    for k in range(rows.size):
        n_changes += weights[k] * lost[k] > _UNCHANGED
    change_rows, change_columns = np.empty(n_changes, dtype=np.int32), np.empty(n_changes, dtype=np.int32)
    added = np.empty(n_changes)
    n_changes = 0
    for k in range(rows.size):
        if weights[k] * lost[k] > _UNCHANGED:
            change_rows[n_changes], change_columns[n_changes] = rows[k], columns[k]
            added[n_changes] = -weights[k] * lost[k]
            n_changes += 1
    return change_rows, change_columns, added


@compiled_reordered
def _groups(rows, columns, n_rows, n_columns):
    """Rows that are joined by columns, by union and find."""
    parent = np.arange(n_rows + n_columns)
    for k in range(rows.size):
        a, b = rows[k], n_rows + columns[k]
        if parent[a] == parent[b]:
            continue
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
def _leading(matrix, changes, band, n_columns, group_of, first, n_groups):
    """The largest eigenvalue without those of the groups, and how far it may be off; infinitely where not found."""
    basis, diagonal, beside, done, complete = _enough_steps(matrix, band, n_columns, group_of, first, n_groups)
    values, vectors = np.empty(done), np.zeros((done, done))
    for k in range(done):
        vectors[k, k] = 1.0
    if done == 0 or not _diagonalize(diagonal, beside, values, vectors):
        return 0.0, np.inf
    order = _order(values, min(_N_LEADING + 1, done))
    # The last one only says how far away all others are, unless there are no others.
    n_kept = done if complete and order.size == done else max(1, order.size - 1)
    leading, of_leading = np.zeros((n_kept, first.size)), np.empty(order.size)
    for k in range(order.size):
        of_leading[k] = values[order[k]]
    for k in range(n_kept):
        for step in range(done):
            _add(leading[k], vectors[order[k], step], basis[step])
    return _with_epsilon(matrix, changes, band, n_columns, group_of, first, of_leading, leading)


@compiled_reordered
def _enough_steps(matrix, band, n_columns, group_of, first, n_groups):
    """Lanczos vectors, the tridiagonal matrix between them, how many they are (none where even the most steps do not
    find the largest eigenvalue), and whether there are no more.
    """
    n_rows = first.size
    space = n_rows - n_groups
    limit = min(space, _MAXIMUM_STEPS, max(_N_LEADING, _MAXIMUM_BASIS // n_rows))
    basis = np.empty((limit + 1, n_rows))
    diagonal, beside = np.zeros(limit), np.zeros(limit)
    # Any start will do that is no eigenvector; this one is the same every time.
    for row in range(n_rows):
        basis[0, row] = np.cos(1.0 + 2.4 * row)
    _take_out(basis[0], group_of, first)
    _scale(basis[0], 1.0 / np.sqrt(_product(basis[0], basis[0])), basis[0])
    done, wanted, complete = 0, min(_FIRST_STEPS, limit), False
    while True:
        done, complete = _lanczos(matrix, band, n_columns, group_of, first, basis, diagonal, beside, done, wanted)
        complete = complete or done == space
        found, left, error = _convergence(diagonal, beside, done)
        if complete or (left < _RESIDUAL and error < _TOLERANCE * found):
            break
        if done >= limit:
            done = done if error < _RELATIVE * found else 0
            break
        # A look at the values takes time as the steps squared, a step as the gray levels squared.
        wanted = min(limit, done + max(2, min(done // 2, 1000 * done**2 // n_rows**2)))
    return basis, diagonal, beside, done, complete


@compiled_reordered
def _convergence(diagonal, beside, done):
    """The largest eigenvalue that the steps have found so far, its residual, and how far it may be off."""
    # Of the eigenvectors only the last elements are needed, which tell what further steps could change.
    values, last = np.empty(done), np.zeros((done, 1))
    last[done - 1] = 1.0
    if not _diagonalize(diagonal, beside, values, last):
        return 0.0, np.inf, np.inf
    first_two = _order(values, 2)
    top = values[first_two[0]]
    left = abs(beside[done - 1] * last[first_two[0], 0])
    gap = max(top - values[first_two[1]], left, 1e-300) if done > 1 else 1.0
    return top, left, min(left, left**2 / gap)


@compiled_reordered
def _order(values, n):
    """Positions of the n largest values, the largest first."""
    order = np.empty(min(n, values.size), dtype=np.int64)
    taken = np.zeros(values.size, dtype=np.bool_)
    for k in range(order.size):
        best = -1
        for position in range(values.size):
            if not taken[position] and (best < 0 or values[position] > values[best]):
                best = position
        taken[best], order[k] = True, best
    return order


@compiled_reordered
def _with_epsilon(matrix, changes, band, n_columns, group_of, first, values, leading):
    """The largest eigenvalue with epsilon, from the leading ones without, and how much the rest may matter."""
    n_kept, n_rows = leading.shape
    # Between eigenvectors u and v epsilon changes A A' by the product of A'u and of what it adds to A'v.
    across, changed = np.zeros((n_kept, n_columns)), np.zeros((n_kept, n_columns))
    for k in range(n_kept):
        _times_transposed(matrix, band, leading[k], across[k])
        _add_products(changes[1], changes[0], changes[2], leading[k], changed[k])
    between = np.empty((n_kept, n_kept))
    for i in range(n_kept):
        for j in range(n_kept):
            between[i, j] = _product(across[i], changed[j])
        between[i, i] += values[i]
    top = _largest_eigenvalue(between)
    # The same between the first one and all that is not known, by the norms of both factors.
    onward, back = np.zeros(n_rows), np.zeros(n_rows)
    _times(matrix, band, changed[0], onward)
    _add_products(changes[0], changes[1], changes[2], across[0], back)
    outside = max(values[0] - values[-1], 1e-15) if values.size > n_kept else np.inf
    known_of_onward, unknown_of_onward = _split(onward, leading, group_of, first)
    known_of_back, unknown_of_back = _split(back, leading, group_of, first)
    bound = known_of_onward * known_of_back / max(1.0 - values[0], 1e-15)
    bound += unknown_of_onward * unknown_of_back / outside
    return top, bound


@compiled_reordered
def _split(vector, leading, group_of, first):
    """Length of a vector's part in the eigenvectors of the groups, and of what is neither there nor in the leading."""
    rest = np.empty(vector.size)
    _scale(vector, 1.0, rest)
    _take_out(rest, group_of, first)
    # Vectors of the groups are at right angles to all that is left.
    of_groups = np.sqrt(max(_product(vector, vector) - _product(rest, rest), 0.0))
    for known in leading:
        _add(rest, -_product(rest, known), known)
    return of_groups, np.sqrt(_product(rest, rest))


@compiled_reordered
def _largest_eigenvalue(matrix):
    """Of a small matrix that is nearly diagonal, by squaring it until one eigenvector is left."""
    n = matrix.shape[0]
    power, squared = np.empty((n, n)), np.empty((n, n))
    for i in range(n):
        for j in range(n):
            power[i, j] = matrix[i, j]
    for _ in range(32):
        row, column = _largest_element(power)
        if power[row, column] == 0.0:
            return 0.0
        scale = 1.0 / power[row, column]
        for i in range(n):
            for j in range(n):
                total = 0.0
                for k in range(n):
                    total += power[i, k] * power[k, j]
                squared[i, j] = total * scale * scale
        power, squared = squared, power
    # Every column is the eigenvector or zero.
    row, column = _largest_element(power)
    total = 0.0
    for k in range(n):
        total += matrix[row, k] * power[k, column]
    return total / power[row, column]


@compiled_reordered
def _largest_element(matrix):
    row, column = 0, 0
    for i in range(matrix.shape[0]):
        for j in range(matrix.shape[1]):
            if abs(matrix[i, j]) > abs(matrix[row, column]):
                row, column = i, j
    return row, column


@compiled_reordered
def _lanczos(matrix, band, n_columns, group_of, first, basis, diagonal, beside, done, wanted):
    """Lanczos steps with full orthogonalization from ``done`` to ``wanted``, fewer where the space is complete."""
    middle = np.empty(n_columns)
    while done < wanted:
        vector = basis[done + 1]
        _times_transposed(matrix, band, basis[done], middle)
        _times(matrix, band, middle, vector)
        _take_out(vector, group_of, first)
        for again in range(2):
            for step in range(done, -1, -1):
                share = _product(vector, basis[step])
                _add(vector, -share, basis[step])
                if step == done and again == 0:
                    diagonal[done] = share
            _take_out(vector, group_of, first)
        length = np.sqrt(_product(vector, vector))
        beside[done] = length
        done += 1
        if length < 1e-13:
            return done, True
        _scale(vector, 1.0 / length, vector)
    return done, False


@compiled_reordered
def _diagonalize(of_matrix, beside_of_matrix, diagonal, vectors):
    """Eigenvalues of a symmetrical tridiagonal matrix, by QR steps with Wilkinson's shift; whether they were found.

    Golub and Van Loan, Matrix Computations, 8.3. The rows of the vectors are turned along: those of the unit matrix
    become the eigenvectors.
    """
    beside = np.empty(diagonal.size)
    for k in range(diagonal.size):
        diagonal[k], beside[k] = of_matrix[k], beside_of_matrix[k]
    end, n_steps = diagonal.size - 1, 0
    while end > 0 and n_steps < 60 * diagonal.size:
        n_steps += 1
        for k in range(end):
            if abs(beside[k]) <= 1e-16 * (abs(diagonal[k]) + abs(diagonal[k + 1])) + 1e-300:
                beside[k] = 0.0
        if beside[end - 1] == 0.0:
            end -= 1
            continue
        start = end - 1
        while start > 0 and beside[start - 1] != 0.0:
            start -= 1
        half, low = (diagonal[end - 1] - diagonal[end]) / 2, beside[end - 1]
        shift = diagonal[end] - low * low / (half + np.copysign(np.sqrt(half * half + low * low), half))
        x, z = diagonal[start] - shift, beside[start]
        for k in range(start, end):
            # No number here is large; where a square underflows the turn is none, which is as good.
            length = np.sqrt(x * x + z * z)
            c, s = (x / length, z / length) if length > 0.0 else (1.0, 0.0)
            if k > start:
                beside[k - 1] = length
            upper, lower, off = diagonal[k], diagonal[k + 1], beside[k]
            diagonal[k] = c * c * upper + 2 * c * s * off + s * s * lower
            diagonal[k + 1] = s * s * upper - 2 * c * s * off + c * c * lower
            beside[k] = c * s * (lower - upper) + (c * c - s * s) * off
            if k < end - 1:
                x, z = beside[k], s * beside[k + 1]
                beside[k + 1] *= c
            for column in range(vectors.shape[1]):
                one, other = vectors[k, column], vectors[k + 1, column]
                vectors[k, column] = c * one + s * other
                vectors[k + 1, column] = c * other - s * one
    return end <= 0


@compiled_reordered
def _times_transposed(matrix, band, vector, result):
    """``A' v``"""
    table, begins, ends = band
    for column in range(result.size):
        result[column] = 0.0
    if table.size:
        for row in range(table.shape[0]):
            begin, end = begins[row], ends[row]
            _add(result[begin:end], vector[row], table[row, begin:end])
    else:
        _add_products(matrix[1], matrix[0], matrix[2], vector, result)


@compiled_reordered
def _times(matrix, band, vector, result):
    """``A v``"""
    table, begins, ends = band
    for row in range(result.size):
        result[row] = 0.0
    if table.size:
        for row in range(table.shape[0]):
            begin, end = begins[row], ends[row]
            result[row] = _product(table[row, begin:end], vector[begin:end])
    else:
        _add_products(matrix[0], matrix[1], matrix[2], vector, result)


@compiled_reordered
def _add_products(into, of, weights, vector, result):
    for k in range(into.size):
        result[into[k]] += weights[k] * vector[of[k]]


@compiled_reordered
def _take_out(vector, group_of, first):
    """Remove the eigenvectors of the groups, of which no two share a row."""
    shares = np.zeros(vector.size)
    for row in range(vector.size):
        shares[group_of[row]] += first[row] * vector[row]
    for row in range(vector.size):
        vector[row] -= shares[group_of[row]] * first[row]


@compiled_reordered
def _product(one, other):
    total = 0.0
    for k in range(one.size):
        total += one[k] * other[k]
    return total


@compiled_reordered
def _add(vector, share, other):
    for k in range(vector.size):
        vector[k] += share * other[k]


@compiled_reordered
def _scale(vector, factor, result):
    for k in range(vector.size):
        result[k] = factor * vector[k]
