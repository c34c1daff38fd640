"""From audited files to the cached squares that the network reads: HU, one pixel size, one crop each (notebook 02)."""

from helpers.preprocessing.cache import cache_images, cache_summary, matches_index
from helpers.preprocessing.external import cache_external
from helpers.preprocessing.geometry import Field, cut_field

__all__ = ["Field", "cache_external", "cache_images", "cache_summary", "cut_field", "matches_index"]
