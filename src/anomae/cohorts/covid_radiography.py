"""COVID-19 Radiography: a folder a class, with images/ in it and masks/ of the lungs, which are no lesion masks."""

from pathlib import Path

from anomae.cohorts.case import ABNORMAL, HEALTHY
from anomae.cohorts.file_roles import MASK_FOLDERS
from anomae.cohorts.picture_set import Picture, PictureSet, folder_of, pictures_in
from anomae.cohorts.source_folder import existing_folder
from anomae.errors import UserError

EXPECTED = "Normal/images, COVID/images and so on"


class CovidRadiography(PictureSet):
    """Chest radiographs: healthy where the class folder is Normal, abnormal in every other class.

    The masks beside the pictures show the lungs, of healthy people too: they are never taken for lesions.
    """

    name = "covid-radiography"

    def __init__(
        self,
        source: Path,
        healthy: str = "Normal",
        patient_pattern: str = "",
        near_duplicates: bool = False,
        colour: bool = False,
    ) -> None:
        """`source`: the folder of the class folders, or one above it.

        healthy: the class folders that are healthy, several with commas; all others are abnormal.  patient_pattern,
        near_duplicates, colour: as of PictureSet.
        """
        super().__init__(source, patient_pattern, near_duplicates, colour)
        self.healthy = tuple(name.strip().lower() for name in healthy.split(",") if name.strip())
        if not self.healthy:
            raise UserError(f"healthy is {healthy!r}; write the names of the healthy class folders, such as Normal.")

    def find(self) -> tuple[list[Picture], list[str]]:
        """All pictures.  Raises UserError where a class folder that is called healthy is not there, or no other is."""
        source = existing_folder(self.source, EXPECTED)
        inner = [path for path in sorted(source.glob("*")) if path.is_dir()]
        root = next((path for path in (source, *inner) if folder_of(path, *self.healthy)), None)
        if root is None:
            raise UserError(
                f"{source} holds no class folder {' or '.join(self.healthy)}; expected {EXPECTED}. Other names are "
                f"told by --set healthy=NAME. There are: {', '.join(path.name for path in inner) or 'none'}."
            )
        folders = [path for path in sorted(root.iterdir()) if path.is_dir() and path.name[0] not in "._"]
        for name in self.healthy:
            if folder_of(root, name) not in folders:
                there = ", ".join(path.name for path in folders)
                raise UserError(f"healthy names {name!r}, but {root} holds no such class folder. There are: {there}.")
        pictures: list[Picture] = []
        masks = 0
        classes: dict[str, int] = {}
        for folder in folders:
            images, lungs = folder_of(folder, "images", "image"), folder_of(folder, "masks", "mask")
            label = HEALTHY if folder.name.lower() in self.healthy else ABNORMAL
            own = pictures_in(images or folder)
            if own and folder.name.lower() in MASK_FOLDERS:
                masks += len(own)
            elif own:
                pictures += [Picture(path, label) for path in own]
                classes[folder.name] = len(own)
            masks += 0 if lungs is None else len(pictures_in(lungs))
        if {picture.label for picture in pictures} != {HEALTHY, ABNORMAL}:
            raise UserError(f"{root} holds pictures of one kind only; expected {EXPECTED}.")
        notes = [
            ", ".join(
                f"{name}: {count} {'healthy' if name.lower() in self.healthy else 'abnormal'}"
                for name, count in classes.items()
            )
        ]
        if masks:
            notes.append(f"{masks} masks show the lungs, not lesions, and are not read")
        return pictures, notes
