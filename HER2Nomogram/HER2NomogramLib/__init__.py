"""Radiomics nomogram for HER2 status on contrast-enhanced mammography (research use only)."""

__version__ = "0.1.0"
