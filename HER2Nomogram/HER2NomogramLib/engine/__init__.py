"""Radiomics features in the plane, compiled: pyradiomics' values without the work that is done more than once.

:mod:`.extraction` is the way in. The other modules hold the filters on the box of a lesion (:mod:`.filters`), the gray
levels and texture matrices of a region, and the features made of them (:mod:`.one_region`). Only :mod:`.extraction` and
:mod:`.names` can be imported without numba.
"""
