import zipfile

import pytest

from helpers.cohort.exclusions import NotUsable, Reason
from helpers.cohort.files.storage import Storage, list_files


@pytest.fixture
def storage(tmp_path):
    """Folder with a file, and an archive with two members, one of them written with the separator of Windows."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_bytes(b"file")
    with zipfile.ZipFile(tmp_path / "a" / "export.zip", "w") as archive:
        archive.writestr("inner/one", b"one")
        archive.writestr("inner\\two", b"two")
        archive.writestr("inner/.hidden", b"")
        archive.writestr("empty/", b"")
    return Storage(tmp_path)


def test_hidden_files_and_the_table_are_not_listed(tmp_path):
    for name in ("b/c.dcm", "a.dcm", ".DS_Store", ".git/x", "labels.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert list_files(tmp_path, without=[tmp_path / "labels.csv"]) == ["a.dcm", "b/c.dcm"]


def test_members_are_listed_as_files_below_their_archive(storage):
    assert storage.files() == ["a/export.zip/inner/one", "a/export.zip/inner/two", "a/file"]
    assert storage.below("a/export.zip") == storage.below("a/export.zip/inner") == storage.files()[:2]
    assert storage.below("a") == storage.below(".") == storage.files()
    assert storage.read("a/export.zip/inner/two") == b"two"
    assert storage.read("a/file") == b"file"


def test_folders_and_files_are_told_apart(storage):
    assert all(storage.is_folder(name) for name in (".", "a", "a/export.zip", "a/export.zip/inner"))
    assert not any(storage.is_folder(name) for name in ("a/file", "a/export.zip/inner/one", "a/export.zip/in"))
    assert storage.exists("a/export.zip/inner/one")
    assert not any(storage.exists(name) for name in ("b", "a/export.zip/inner/three", "a/other.zip/one"))


def test_a_folder_called_zip_is_a_folder(tmp_path):
    (tmp_path / "x.zip").mkdir()
    (tmp_path / "x.zip" / "file").write_bytes(b"file")
    assert Storage(tmp_path).read("x.zip/file") == b"file"
    assert Storage(tmp_path).files() == ["x.zip/file"]


def test_a_missing_member_is_told(storage):
    with pytest.raises(NotUsable, match="no such member") as caught:
        storage.read("a/export.zip/inner/three")
    assert caught.value.reason is Reason.FILE_MISSING


def test_an_archive_that_is_none_stays_one_file_and_says_why(tmp_path):
    (tmp_path / "x.zip").write_bytes(b"PK\x03\x04 and then nothing")
    storage = Storage(tmp_path)
    assert storage.files() == ["x.zip"]
    assert storage.exists("x.zip/one"), "what it holds is found out when it is read"
    with pytest.raises(NotUsable, match=r"x\.zip") as caught:
        storage.read("x.zip/one")
    assert caught.value.reason is Reason.UNREADABLE_ARCHIVE


def test_the_stamp_changes_with_the_archive(storage, tmp_path):
    before = storage.stamp("a/export.zip/inner/one")
    with zipfile.ZipFile(tmp_path / "a" / "export.zip", "a") as archive:
        archive.writestr("three", b"3")
    assert storage.stamp("a/export.zip/inner/one") != before
    assert storage.read("a/export.zip/three") == b"3"


@pytest.mark.parametrize(
    ("member", "size", "reason"),
    [("../evil", 10, Reason.PATH_ESCAPES_FOLDER), ("bomb", 2**26 + 1, Reason.ARCHIVE_TOO_LARGE)],
)
def test_a_suspicious_member_is_listed_and_never_unpacked(tmp_path, member, size, reason):
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, bytes(size))
    storage = Storage(tmp_path)
    assert storage.files() == [f"x.zip/{member}"]
    assert storage.finding(f"x.zip/{member}").reason is reason
    with pytest.raises(NotUsable):
        storage.read(f"x.zip/{member}")
