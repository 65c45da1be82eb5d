"""Radiomics nomogram for HER2 status on contrast-enhanced mammography (research use only)."""

__version__ = "0.1.0"
# Every display of a result ends with it.
RESEARCH_USE = "Research use only, not for clinical decisions."
