"""Which volume and which centroid file of a VerSe folder belong to a scan, told by their names alone.

`sub-verse401_split-verse253_ct.nii.gz` is scan 253 of subject 401, `sub-gl003_dir-ax_ct.nii.gz` and
`GL003_CT-ax.nii.gz` are scan gl003. Its centroid file has the same name up to the ending.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from helpers.cohort.exclusions import NotUsable, Reason
from helpers.cohort.files.nifti import Grid, is_nifti, read_grid
from helpers.cohort.labels.centroids import Centroids, read_centroids
from helpers.cohort.labels.genant import scan_key

# Masks, centroids and previews belong to a volume; they are no images of the cohort.
COMPANION = re.compile(r"((_msk|_seg)\.nii(\.gz)?|[_-]ctd\.json|_snp\.png)$", re.IGNORECASE)
ENTITY = re.compile(r"(?:^|_)(sub|split)-([A-Za-z0-9]+)")
VOLUME_ENDING = re.compile(r"(_ct)?\.nii(\.gz)?$", re.IGNORECASE)
# The first is the published one: centres of vertebral bodies with their processes left out.
CENTROID_ENDINGS = ("_seg-subreg_ctd.json", "_seg-vb_ctd.json", "_ctd.json", "_iso-ctd.json")
RELEASE_PARTS = ("rawdata", "derivatives")


@dataclass(frozen=True)
class Scan:
    """Where the voxels of a scan lie, and where its vertebrae are."""

    grid: Grid
    centroids: Centroids


def scan_of(file: str) -> str:
    """Key of the scan that a file is of, as `scan_key` gives it."""
    name = VOLUME_ENDING.sub("", PurePosixPath(file).name)
    entities = dict(ENTITY.findall(name))
    return scan_key(entities.get("split") or entities.get("sub") or name.split("_")[0])


class Scans:
    """The scans of a cohort folder. Headers and centroid files are read when first asked for, and once."""

    def __init__(self, folder: Path, files: Sequence[str]) -> None:
        self._folder = folder
        self._volumes: dict[str, list[str]] = defaultdict(list)
        self._centroids: dict[str, list[str]] = defaultdict(list)
        self._found: dict[str, Scan | NotUsable] = {}
        for file in files:
            if is_nifti(file) and not COMPANION.search(file):
                self._volumes[scan_of(file)].append(file)
            elif file.lower().endswith(".json"):
                self._centroids[PurePosixPath(file).name].append(file)

    def volume(self, key: str) -> str:
        """The file of a scan; raises `NotUsable` if there is none, or more than one."""
        files = self._volumes.get(key, [])
        if not files:
            raise NotUsable(Reason.FILE_MISSING, f"no volume of scan {key}, such as sub-verse{key:0>3}_ct.nii.gz")
        if len(files) > 1:
            raise NotUsable(Reason.SEVERAL_VOLUMES, f"scan {key} is in {' and in '.join(files)}")
        return files[0]

    def scan(self, key: str) -> Scan:
        """Geometry and centroids of a scan; raises `NotUsable` if either cannot be read."""
        if key not in self._found:
            try:
                self._found[key] = self._read(self.volume(key))
            except NotUsable as finding:
                self._found[key] = finding
        found = self._found[key]
        if isinstance(found, NotUsable):
            raise NotUsable(found.reason, found.detail)
        return found

    def _read(self, volume: str) -> Scan:
        grid = read_grid(self._folder / volume)
        return Scan(grid, read_centroids(self._folder / self._centroid_file(volume)))

    def _centroid_file(self, volume: str) -> str:
        stem = VOLUME_ENDING.sub("", PurePosixPath(volume).name)
        for ending in CENTROID_ENDINGS:
            files = self._centroids.get(stem + ending, [])
            # Two releases side by side hold files of one name: each volume takes that of its own release.
            near = [file for file in files if _release(file) == _release(volume)] or files
            if len(near) > 1:
                raise NotUsable(Reason.SEVERAL_VOLUMES, f"centroid files {' and '.join(near)}")
            if near:
                return near[0]
        raise NotUsable(Reason.NO_CENTROID, f"no centroid file {stem}{CENTROID_ENDINGS[0]}")


def _release(file: str) -> tuple[str, ...]:
    """The folders above `rawdata` or `derivatives`, or else the folder of the file."""
    parts = PurePosixPath(file).parent.parts
    places = [parts.index(name) for name in RELEASE_PARTS if name in parts]
    return parts[: min(places)] if places else parts
