import json
from collections import Counter

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import center_of_mass

from helpers.cohort.exclusions import CohortError, Reason
from helpers.cohort.reading import load_pixels, read_cohort
from helpers.cohort.sources.verse import Verse
from helpers.study import CohortParams

CLASSES = {"F": "fracture", "N": "normal"}
VALUES = {"none": "N", "wedge": "F", "biconcave": "F", "crush": "F"}
SPACING = (0.8, 0.8, 2.0)  # along P, I, R, the way VerSe'19 stores its volumes
SHAPE = (20, 40, 12)


def write_scan(folder, name, *, levels, seed=0):
    """A volume stored along P, I, R whose vertebrae are bright balls, and its centroid file."""
    places = {label: (8.0 + seed, 6.0 + 9 * order, 5.0 + order) for order, label in enumerate(levels)}
    grid = np.stack(np.mgrid[[slice(0, size) for size in SHAPE]], axis=-1) * SPACING
    hu = np.random.default_rng(seed).integers(-1000, 100, size=SHAPE).astype(np.int16)
    for label, place in places.items():
        hu[np.linalg.norm(grid - np.multiply(place, SPACING), axis=-1) < 3] = 500 + label
    affine = np.array([[0, 0, SPACING[2], 3], [-SPACING[0], 0, 0, 5], [0, -SPACING[1], 0, 7], [0, 0, 0, 1]])
    release = folder / "dataset-verse19training"
    subject = name.split("_")[0]
    for part in ("rawdata", "derivatives"):
        (release / part / subject).mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(hu, affine), release / "rawdata" / subject / f"{name}_ct.nii.gz")
    centroids = [{"label": label, **dict(zip("XYZ", place, strict=True))} for label, place in places.items()]
    content = json.dumps([{"direction": ["P", "I", "R"]}, *centroids])
    (release / "derivatives" / subject / f"{name}_seg-subreg_ctd.json").write_text(content)
    return f"dataset-verse19training/rawdata/{subject}/{name}_ct.nii.gz"


def row(scan, subject, level, grade, shape, **cells):
    return {"verse_ID": scan, "subject_ID": subject, "level": level, "genant_grade": grade, "shape": shape} | cells


@pytest.fixture
def scans(folder, write_labels):
    """Two scans of one subject and one of another; L1 to L3 each."""
    write_scan(folder, "sub-verse401_split-verse201", levels=(20, 21, 22))
    write_scan(folder, "sub-verse401_split-verse253", levels=(20, 21, 22), seed=1)
    write_scan(folder, "sub-verse004", levels=(19, 20, 21), seed=2)
    rows = [
        row("201", "401", "L1", "0", "0", split="training", age_ct="58.61"),
        row("201", "401", "L2", "1", "1"),
        row("253", "401", "L3", "3", "3"),
        row("4", "4", "L1", "2", "2"),
        row("4", "4", "L2", "x", "x"),
        row("77", "77", "L1", "0", "0"),
    ]
    write_labels(rows)
    return rows


@pytest.fixture
def params():
    return CohortParams(
        source="verse",
        folder="cohort",
        labels="labels.csv",
        label_values=VALUES,
        class_names=CLASSES,
        normal_class="N",
        pseudonymise=False,
        workers=1,
    )


def test_each_graded_vertebra_is_one_sample(scans, params):
    cohort = read_cohort(params)
    table = cohort.table.set_index(["source", "level"])
    assert len(table) == 4
    assert cohort.table["label"].value_counts().to_dict() == {"F": 3, "N": 1}
    assert set(cohort.table["PatientID"]) == {"sub-verse401", "sub-verse004"}
    first = table.loc[("dataset-verse19training/rawdata/sub-verse401/sub-verse401_split-verse201_ct.nii.gz", "L1")]
    assert (first["grade"], first["split"], first["PatientAge"], first["bits"]) == ("0", "training", "058Y", 16)
    assert (first["row_spacing_mm"], first["column_spacing_mm"]) == pytest.approx((0.8, 0.8))


def test_the_centre_of_each_sample_is_its_own_vertebra(scans, params):
    cohort = read_cohort(params)
    for sample in cohort.table.to_dict("records"):
        pixels = load_pixels(sample, source=cohort.source)
        label = {"T12": 19, "L1": 20, "L2": 21, "L3": 22}[sample["level"]]
        rows, columns = np.nonzero(pixels == 500 + label)
        assert (rows.mean(), columns.mean()) == pytest.approx(
            (sample["center_row_px"], sample["center_col_px"]), abs=0.1
        )


def test_what_is_not_used_says_why(scans, params):
    exclusions = read_cohort(params).exclusions
    told = {(reason, detail.split(":")[0]) for reason, detail in exclusions[["reason", "detail"]].to_numpy()}
    assert (Reason.FOREIGN_MATERIAL, "row 6, L2") in told
    assert (Reason.FILE_MISSING, "row 7, L1") in told
    ungraded = exclusions[exclusions["reason"] == Reason.MISSING_LABEL]["detail"]
    assert sorted(detail.split()[0] for detail in ungraded) == ["L1", "L2", "L3", "T12"]
    assert len(exclusions) == 6


def test_the_published_layout_of_the_table_gives_the_same(scans, params, tmp_path):
    expected = read_cohort(params).table
    wide = {}
    for item in scans:
        cells = wide.setdefault(item["verse_ID"], {"verse_ID": item["verse_ID"], "subject_ID": item["subject_ID"]})
        cells |= {"dataset": item.get("split", cells.get("dataset")), "age_ct": item.get("age_ct", cells.get("age_ct"))}
        cells[f"{item['level']}_fx-g"], cells[f"{item['level']}_fx-s"] = item["genant_grade"], item["shape"]
    pd.DataFrame(wide.values()).to_excel(tmp_path / "table.xlsx", index=False)
    table = read_cohort(params.model_copy(update={"labels": "table.xlsx"})).table
    columns = ["sample_id", "label", "level", "grade", "pixel_sha256", "PatientID"]
    pd.testing.assert_frame_equal(table[columns], expected[columns])


def test_a_grade_can_be_mapped_or_left_out(scans, params):
    values = {"none": "N", "wedge2": "F", "wedge3": "F", "biconcave2": "F", "biconcave3": "F", "crush3": "F"}
    cohort = read_cohort(params.model_copy(update={"label_values": values}))
    assert sorted(cohort.table["level"]) == ["L1", "L1", "L3"]
    unmapped = cohort.exclusions[cohort.exclusions["reason"] == Reason.UNKNOWN_LABEL]["detail"].to_list()
    assert len(unmapped) == 1
    assert "row 3, L2: label 'wedge'" in unmapped[0]


def test_masks_and_centroids_are_no_files_of_the_cohort(scans, folder, params):
    (folder / "license.txt").write_text("CC BY-SA 4.0")
    write_scan(folder, "sub-verse099", levels=(20,))
    source = Verse(folder, folder.parent / "labels.csv", params)
    assert Counter(name.rpartition(".")[2] for name in source.files()) == {"gz": 4, "txt": 1}
    told = read_cohort(params).exclusions.set_index("source")["reason"]
    assert told["license.txt"] == Reason.NOT_NIFTI
    assert told["dataset-verse19training/rawdata/sub-verse099/sub-verse099_ct.nii.gz"] == Reason.UNLABELLED_FILE


def test_a_table_with_files_names_volumes_and_centres_itself(folder, params, write_labels):
    file = write_scan(folder, "sub-verse004", levels=(20, 21))
    centers = {"F": (8, 6, 5), "N": (8, 15, 6)}
    write_labels(
        [
            {"file": file, "PatientID": "p", "label": label, "level": label}
            | dict(zip(("center_column", "center_row", "center_slice"), center, strict=True))
            for label, center in centers.items()
        ]
    )
    cohort = read_cohort(params)
    values = {
        sample["label"]: load_pixels(sample, source=cohort.source)[
            round(sample["center_row_px"]), round(sample["center_col_px"])
        ]
        for sample in cohort.table.to_dict("records")
    }
    assert values == {"F": 520, "N": 521}


def test_a_cohort_without_any_volume_says_so(scans, params, folder):
    for path in folder.rglob("*.nii.gz"):
        path.unlink()
    with pytest.raises(CohortError, match="no usable sample is left; not used: file_missing 6"):
        read_cohort(params)


@pytest.fixture
def real_tree(shared_data, folder):
    """The one real scan with labels, laid out as VerSe, its centre taken from its mask."""
    nifti = shared_data / "nifti" / "bonelab_verse004"
    for part in ("rawdata", "derivatives"):
        (folder / part / "sub-verse004").mkdir(parents=True)
    volume = folder / "rawdata" / "sub-verse004" / "sub-verse004_ct.nii.gz"
    volume.symlink_to(nifti / "sub-verse004_0000_vertebra_21_im.nii.gz")
    mask = nib.load(nifti / "sub-verse004_0000_vertebra_21_seg.nii.gz")
    place = center_of_mass(np.asarray(mask.dataobj) == 1)
    centroids = [{"direction": nib.aff2axcodes(mask.affine)}, {"label": 21, **dict(zip("XYZ", place, strict=True))}]
    (folder / "derivatives" / "sub-verse004" / "sub-verse004_seg-subreg_ctd.json").write_text(json.dumps(centroids))
    return folder


@pytest.mark.shared
@pytest.mark.parametrize("table", ["ryai190138_AppendixE1.xlsx", "verse19_vertebra_labels_long.csv"])
def test_of_the_real_tables_what_is_absent_is_skipped(real_tree, shared_data, params, table):
    source = Verse(real_tree, shared_data / "verse19" / table, params)
    labelled = source.labelled()
    (entry,) = labelled.entries
    assert (entry.patient, entry.level, entry.label, entry.facts["grade"]) == ("sub-verse004", "L2", "N", "0")
    reasons = Counter(item.reason for item in labelled.exclusions)
    assert reasons == {Reason.FILE_MISSING: 1493, Reason.NO_CENTROID: 6}
    assert len(labelled.rows) == 1500
    picture = source.read(entry.view)
    # The surroundings are blanked with 0; the middle of the vertebral body is spongy bone.
    row_px, column_px = (round(value) for value in picture.center_px)
    middle = picture.pixels[row_px - 4 : row_px + 5, column_px - 4 : column_px + 5]
    assert 50 < middle.mean() < 300
    assert (picture.pixels == 0).mean() > 0.5


@pytest.mark.shared
def test_real_volumes_with_a_table_of_their_own(shared_data, params, write_labels):
    """Thoracic or lumbar: what is known of these volumes. Centres are those of the published masks."""
    masks = {
        "totalsegmentator/ct_cropped.nii.gz": ("totalsegmentator/vertebrae_T12.nii.gz", 1, "T"),
        "tptbox/sub-ct_label-22_ct.nii.gz": ("tptbox/sub-ct_seg-vert_label-22_msk.nii.gz", 22, "L"),
    }
    rows = []
    for file, (name, label, region) in masks.items():
        center = center_of_mass(np.asarray(nib.load(shared_data / "nifti" / name).dataobj) == label)
        columns = ("center_column", "center_row", "center_slice")
        rows.append({"file": file, "PatientID": file, "label": region} | dict(zip(columns, center, strict=True)))
    write_labels(rows)
    update = {
        "folder": str(shared_data / "nifti"),
        "label_values": {},
        "class_names": {"T": "thoracic", "L": "lumbar"},
        "normal_class": None,
    }
    cohort = read_cohort(params.model_copy(update=update))
    assert sorted(cohort.table["label"]) == ["L", "T"]
    assert cohort.table["row_spacing_mm"].to_list() == [1.5, 1.5]
    assert (cohort.exclusions["reason"] == Reason.UNLABELLED_FILE).sum() == len(cohort.exclusions)
