"""Files as tables name them: by a path of any system, by name, or by the name without its ending."""

import unicodedata
from pathlib import Path

from anomae.cohorts.file_roles import given_twice, stem_of
from anomae.errors import UserError
from anomae.volumes.series import folder_and_series


class NamedFiles:
    """The files below a folder, looked up by what a table calls them; the folder is searched once, where it must be."""

    def __init__(self, source: Path) -> None:
        """source: the folder that the table's paths begin at."""
        self.source = source
        self._known: dict[str, list[Path]] | None = None

    def path(self, name: str, where: str) -> Path:
        """The file or folder at a path below the source; also with the slashes of Windows, or other accents.

        Also one of several DICOM series in a folder (anomae.volumes.series.series_path).
        Raises UserError, naming `where`, if it is not there.
        """
        for tried in dict.fromkeys((name, name.replace("\\", "/"))):
            if tried and "\0" not in tried and folder_and_series(self.source / tried)[0].exists():
                return self.source / tried
        found = self._by_name().get(_plain(name.replace("\\", "/").removeprefix("./"))) if name else None
        if not found or "/" not in name.replace("\\", "/"):
            raise UserError(
                f"{where}, names {name!r}, which is not there; write paths as they are below {self.source}."
            )
        return found[0]

    def scan(self, name: str, where: str) -> Path:
        """The same, or the one file below the source that is called so, with its ending or without.

        Raises UserError, naming `where`, if there is none or there are several.
        """
        if name and not (self.source / name).exists():
            found = self._by_name().get(_plain(name), [])
            if len(found) > 1:
                raise UserError(
                    f"{where}, names {name!r}, which {found[0]} and {found[1]} are both; write the path of the one."
                )
            if found:
                return found[0]
        return self.path(name, where)

    def _by_name(self) -> dict[str, list[Path]]:
        """Path below the source, name, and name without ending (of scans) -> files."""
        if self._known is None:
            from anomae.volumes.read import is_readable_name

            self._known = {}
            files = sorted(path for path in self.source.rglob("*") if is_readable_name(path) and path.is_file())
            twice = given_twice(files)
            for file in files:
                names = {file.relative_to(self.source).as_posix(), file.name, stem_of(file)}
                for name in {_plain(name) for name in names if file not in twice or name != stem_of(file)}:
                    self._known.setdefault(name, []).append(file)
        return self._known


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name)
