import json

import nibabel as nib
import numpy as np
import pytest

from helpers.cohort.exclusions import NotUsable, Reason
from helpers.cohort.sources.verse_scans import COMPANION, Scans, scan_of


@pytest.mark.parametrize(
    ("file", "key"),
    [
        ("dataset-verse19training/rawdata/sub-verse004/sub-verse004_ct.nii.gz", "4"),
        ("rawdata/sub-verse401/sub-verse401_split-verse253_ct.nii.gz", "253"),
        ("rawdata/sub-gl003/sub-gl003_dir-ax_ct.nii.gz", "gl003"),
        ("verse012.nii.gz", "12"),
        ("GL003_CT-ax.nii.gz", "gl003"),
        ("verse500_CT-sag.nii", "500"),
    ],
)
def test_the_scan_is_told_by_the_name(file, key):
    assert scan_of(file) == key


@pytest.mark.parametrize(
    ("name", "apart"),
    [
        ("sub-verse004_seg-vert_msk.nii.gz", True),
        ("verse004_seg.nii.gz", True),
        ("sub-verse004_seg-subreg_ctd.json", True),
        ("verse500_CT-ax_iso-ctd.json", True),
        ("sub-verse004_seg-vert_snp.png", True),
        ("sub-verse004_ct.nii.gz", False),
        ("readme.txt", False),
    ],
)
def test_companions_of_a_volume_are_told_by_their_ending(name, apart):
    assert bool(COMPANION.search(name)) is apart


def tree(folder, files):
    """Volumes and centroid files; each centroid file has L1 at a place of its own, (0, 0, its number)."""
    for number, file in enumerate(files):
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        if file.endswith(".json"):
            place = {"label": 20, "X": 0, "Y": 0, "Z": number}
            path.write_text(json.dumps([{"direction": ["L", "P", "S"]}, place]))
        else:
            nib.save(nib.Nifti1Image(np.zeros((4, 5, 6), np.int16), np.diag([-1, -1, 1, 1])), path)
    return Scans(folder, files)


def place_of(scans, key):
    return scans.scan(key).centroids.places["L1"][2]


LAYOUTS = {
    "nested": [
        "t/rawdata/sub-verse004/sub-verse004_ct.nii.gz",
        "t/derivatives/sub-verse004/sub-verse004_seg-subreg_ctd.json",
    ],
    "split": [
        "rawdata/sub-verse401/sub-verse401_split-verse004_ct.nii.gz",
        "derivatives/sub-verse401/sub-verse401_split-verse004_seg-subreg_ctd.json",
    ],
    "flat": ["verse004.nii.gz", "verse004_ctd.json"],
    "2020": ["verse004_CT-ax.nii.gz", "verse004_CT-ax_iso-ctd.json"],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_released_layout_is_read(tmp_path, layout):
    scans = tree(tmp_path, LAYOUTS[layout])
    assert scans.volume("4") == LAYOUTS[layout][0]
    assert place_of(scans, "4") == 1


def test_the_published_centroids_win_over_those_of_the_bodies(tmp_path):
    names = ["verse004.nii.gz", "verse004_seg-vb_ctd.json", "verse004_seg-subreg_ctd.json"]
    assert place_of(tree(tmp_path, names), "4") == 2


def test_each_release_keeps_its_own_centroids(tmp_path):
    first, second = (
        [f"{release}/rawdata/s/{name}_ct.nii.gz", f"{release}/derivatives/s/sub-verse004_seg-subreg_ctd.json"]
        for release, name in (("a", "sub-verse004"), ("b", "sub-verse004"))
    )
    with pytest.raises(NotUsable, match="a/rawdata.* and in b/rawdata") as caught:
        tree(tmp_path, [*first, *second]).volume("4")
    assert caught.value.reason is Reason.SEVERAL_VOLUMES
    assert place_of(tree(tmp_path, [second[1], *first]), "4") == 2
    with pytest.raises(NotUsable, match="centroid files") as caught:
        tree(tmp_path, ["x/1_ctd.json", "y/1_ctd.json", "1.nii.gz"]).scan("1")
    assert caught.value.reason is Reason.SEVERAL_VOLUMES


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ([], Reason.FILE_MISSING),
        (["verse004_ctd.json"], Reason.FILE_MISSING),
        (["verse004.nii.gz"], Reason.NO_CENTROID),
    ],
)
def test_what_is_absent_is_named(tmp_path, files, reason):
    scans = tree(tmp_path, files)
    for _ in range(2):
        with pytest.raises(NotUsable, match="4") as caught:
            scans.scan("4")
        assert caught.value.reason is reason
