"""The files of a cohort folder, wherever they lie in it; a zip archive is read in place, as if it were a folder."""

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Optional

from helpers.cohort.exclusions import NotUsable, Reason, refusing
from helpers.cohort.identity import KEY_FILE
from helpers.study.paths import project_file

ZIP_SUFFIX = ".zip"
ENCRYPTED_FLAG = 0x1  # bit 0 of the general purpose flags (APPNOTE.TXT, section 4.4.4)
MAX_MEMBER_BYTES = 2**30
# Deflate cannot pack more than about 1000 to 1, and packs CT about 2 to 1. A blank image may come near the limit, but
# not at a size that would fill the memory.
MAX_RATIO, RATIO_MATTERS_BYTES = 200, 2**26


def list_files(folder: Path, *, without: Sequence[Optional[Path]]) -> list[str]:
    """Every file below `folder`, relative and sorted, but hidden ones.

    Files and folders `without` which a cohort is counted are left out.
    """
    apart = {path.resolve() for path in (*without, project_file(KEY_FILE)) if path is not None}
    files = (path for path in folder.rglob("*") if path.is_file() and not _lies_in(path.resolve(), places=apart))
    relative = (path.relative_to(folder) for path in files)
    return sorted(path.as_posix() for path in relative if not _hidden(path.parts))


def _lies_in(path: Path, *, places: set[Path]) -> bool:
    return path in places or not places.isdisjoint(path.parents)


@dataclass(frozen=True)
class Storage:
    """A cohort folder in which zip archives are folders: `export.zip/inner/IM1` is a member of `export.zip`.

    Names are relative to `folder`, with POSIX separators. Archives within archives stay closed.
    """

    folder: Path

    def files(self, *, without: Sequence[Optional[Path]] = ()) -> list[str]:
        """Every file and every member of an archive, sorted; an archive that cannot be opened is one file."""
        return sorted(name for file in list_files(self.folder, without=without) for name in self._unfolded(file))

    def below(self, name: str) -> list[str]:
        """Files of a folder or an archive, at any depth, sorted."""
        archive, member = self._place(name)
        if archive is None:
            inside = Storage(self.folder / name).files()
        else:
            start = f"{member}/" if member else ""
            inside = [item[len(start) :] for item in _members_or_none(archive) if item.startswith(start)]
        return sorted(inside if name == "." else [f"{name}/{item}" for item in inside])

    def exists(self, name: str) -> bool:
        """Whether there is such a file or folder; what a closed archive holds is found out when it is read.

        Pipes and devices are neither: reading one may never end.
        """
        archive, member = self._place(name)
        if archive is None:
            return (self.folder / name).is_file() or (self.folder / name).is_dir()
        members = _members_or_none(archive)
        return not member or not members or member in members or self.is_folder(name)

    def is_folder(self, name: str) -> bool:
        """Whether files can lie below this name."""
        archive, member = self._place(name)
        if archive is None:
            return (self.folder / name).is_dir()
        members = _members_or_none(archive)
        return any(not member or item.startswith(f"{member}/") for item in members)

    def open(self, name: str) -> BinaryIO:
        """Open a file for reading; a member of an archive is unpacked into memory.

        Raises
        ------
        NotUsable
            If the archive is damaged or encrypted, or its member is outside the archive or suspiciously large.
        OSError
            If the file cannot be opened.
        """
        archive, member = self._place(name)
        if archive is None:
            return (self.folder / name).open("rb")
        return BytesIO(_member_bytes(archive, member=member or "", name=name))

    def read(self, name: str) -> bytes:
        """Everything in a file, or in a member of an archive; raises as `open` does."""
        with self.open(name) as stream:
            return stream.read()

    def stamp(self, name: str) -> tuple[str, int, int]:
        """Name, size and time of change: differs when the file, or the archive that it lies in, has changed."""
        archive, _ = self._place(name)
        status = (archive or self.folder / name).stat()
        return name, status.st_size, status.st_mtime_ns

    def finding(self, name: str) -> Optional[NotUsable]:
        """Why a file cannot be taken out of its archive, as far as the archive's directory says; else None."""
        archive, member = self._place(name)
        if archive is None:
            return None
        try:
            _info(archive, member=member or "", name=name)
        except NotUsable as finding:
            return finding
        return None

    def _unfolded(self, file: str) -> list[str]:
        archive, _ = self._place(file)
        return [file] if archive is None else [f"{file}/{item}" for item in _members_or_none(archive)] or [file]

    def _place(self, name: str) -> tuple[Optional[Path], Optional[str]]:
        """The archive that a name leads into, and the name within it; no archive for an ordinary file."""
        if ZIP_SUFFIX not in name.lower():
            return None, None
        path = PurePosixPath(name)
        for folder in (*reversed(path.parents), path):
            if folder.suffix.lower() == ZIP_SUFFIX and (self.folder / folder).is_file():
                return self.folder / folder, name[len(folder.as_posix()) + 1 :]
        return None, None


def _hidden(parts: Sequence[str]) -> bool:
    return any(part.startswith(".") and part != ".." for part in parts)


def _members_or_none(archive: Path) -> Mapping[str, zipfile.ZipInfo]:
    try:
        return _members(archive)
    except NotUsable:
        return {}


def _members(archive: Path) -> Mapping[str, zipfile.ZipInfo]:
    with refusing(Reason.UNREADABLE_ARCHIVE, name=archive.name):
        return _opened(archive, archive.stat().st_mtime_ns)[1]


@lru_cache(maxsize=4)
def _opened(archive: Path, changed_ns: int) -> tuple[zipfile.ZipFile, Mapping[str, zipfile.ZipInfo]]:
    """The open archive and its files by name: the directory of a large archive is read once, not for each member."""
    opened = zipfile.ZipFile(archive)
    infos = {info.filename.replace("\\", "/"): info for info in opened.infolist() if not info.is_dir()}
    return opened, {name: info for name, info in infos.items() if not _hidden(PurePosixPath(name).parts)}


def _info(archive: Path, *, member: str, name: str) -> zipfile.ZipInfo:
    members = _members(archive)
    if member not in members:
        raise NotUsable(Reason.FILE_MISSING, f"{name}: the archive has no such member")
    info = members[member]
    if ".." in PurePosixPath(member).parts or member.startswith("/"):
        raise NotUsable(Reason.PATH_ESCAPES_FOLDER, f"{name} leads out of the archive")
    if info.flag_bits & ENCRYPTED_FLAG:
        raise NotUsable(Reason.ENCRYPTED_ARCHIVE, f"{name} is encrypted")
    ratio = info.file_size / max(1, info.compress_size)
    if info.file_size > MAX_MEMBER_BYTES or (info.file_size > RATIO_MATTERS_BYTES and ratio > MAX_RATIO):
        detail = f"{name}: {info.file_size / 2**20:.0f} MiB unpacked, {ratio:.0f} times its packed size"
        raise NotUsable(Reason.ARCHIVE_TOO_LARGE, detail)
    return info


def _member_bytes(archive: Path, *, member: str, name: str) -> bytes:
    info = _info(archive, member=member, name=name)
    with refusing(Reason.UNREADABLE_ARCHIVE, name=name):
        opened, _ = _opened(archive, archive.stat().st_mtime_ns)
        with opened.open(info) as stream:
            # Asking for a size keeps zipfile from unpacking more than the directory announced.
            return stream.read(info.file_size + 1)
