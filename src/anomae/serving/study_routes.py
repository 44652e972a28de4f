"""The routes of studies that are done: what they say, their maps, DICOM results and pages, and deleting them."""

import re
from collections.abc import Callable
from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Path, Query, Request, Response
from fastapi.responses import FileResponse, RedirectResponse

from anomae.errors import UserError
from anomae.serving.guard import STUDY_POLICY
from anomae.serving.refusals import Refused
from anomae.serving.results import FILES, OUT, read_result
from anomae.serving.service import Service
from anomae.serving.shapes import Sentence, Study

_REFUSALS: dict[int | str, dict[str, Any]] = {401: {"model": Sentence}, 404: {"model": Sentence}}
_PAGE = re.compile(r"(index\.html|studies/[A-Za-z0-9._-]+/(study\.html|thumbnail\.jpg))")
_TYPES = {".html": "text/html; charset=utf-8", ".jpg": "image/jpeg", ".dcm": "application/dicom"}
_PRIVATE = {"Content-Security-Policy": STUDY_POLICY}

StudyId = Annotated[str, Path(pattern="^[0-9a-f]{16}$", description="Id of a study: that of its job.")]
Scan = Annotated[int, Query(ge=1, le=100_000, description="Which scan of the study, from 1.")]


def add_study_routes(app: FastAPI, service: Service, asks: Callable[..., Any]) -> None:
    """Add them.  asks: the dependency that says who asks, or refuses."""
    Holder = Annotated[str, Depends(asks)]

    def result(study: str) -> dict[str, Any]:
        job = service.jobs.find(study)
        if job is None:
            raise Refused(404, "There is no such study.")
        if job.state != "done":
            raise Refused(404, f"The study is not done: its job is {job.state}.")
        try:
            return read_result(service.study_folder(study))
        except UserError as error:  # deleted between the two looks
            raise Refused(404, "There is no such study any more.") from error

    def noted(request: Request, holder: str, did: str, study: str) -> None:
        service.audit.note(holder, did, study=study, client="" if request.client is None else request.client.host)

    def scan_name(facts: dict[str, Any], scan: int) -> str:
        if scan > len(facts["scans"]):
            raise Refused(404, f"The study has {len(facts['scans'])} scan(s).")
        return str(facts["scans"][scan - 1]["name"])

    def file_of(study: str, inner: str, missing: str, kind: str = "application/octet-stream") -> FileResponse:
        file = service.study_folder(study) / OUT / inner
        if not file.is_file():
            raise Refused(404, missing)
        name = f"{study}-{FilePath(inner).name}" if kind.startswith("application") else None
        headers = _PRIVATE if file.suffix == ".html" else None
        return FileResponse(file, media_type=_TYPES.get(file.suffix, kind), filename=name, headers=headers)

    @app.get("/studies/{study}", response_model=Study, responses=_REFUSALS)
    def read_study(study: StudyId, request: Request, holder: Holder) -> Any:
        """Flags, findings and scores."""
        facts = result(study)
        noted(request, holder, "read", study)
        return facts

    @app.delete("/studies/{study}", status_code=204, responses=_REFUSALS)
    def delete_study(study: StudyId, request: Request, holder: Holder) -> Response:
        """Remove a study with its job, whatever state it is in."""
        if not service.delete(study):
            raise Refused(404, "There is no such study.")
        noted(request, holder, "deleted", study)
        return Response(status_code=204)

    @app.get("/studies/{study}/map.nii.gz", responses=_REFUSALS, response_class=FileResponse)
    def read_map(study: StudyId, request: Request, holder: Holder, scan: Scan = 1) -> FileResponse:
        """The anomaly map of a volume, in the scan's own grid."""
        name = scan_name(result(study), scan)
        noted(request, holder, "read the map", study)
        missing = "This scan has no such map; a picture has map.tiff, and some detectors make none."
        return file_of(study, FILES["map.nii.gz"].format(name), missing, "application/gzip")

    @app.get("/studies/{study}/map.tiff", responses=_REFUSALS, response_class=FileResponse)
    def read_flat_map(study: StudyId, request: Request, holder: Holder, scan: Scan = 1) -> FileResponse:
        """The anomaly map of a picture."""
        name = scan_name(result(study), scan)
        noted(request, holder, "read the map", study)
        missing = "This scan has no such map; a volume has map.nii.gz."
        return file_of(study, FILES["map.tiff"].format(name), missing)

    def read_dicom(kind: str, study: str, scan: int) -> FileResponse:
        facts = result(study)
        name = scan_name(facts, scan)
        dicom = facts["dicom"]
        why = [*dicom["notes"].get(name, ()), *([dicom["refused"][name]] if name in dicom["refused"] else [])]
        missing = " ".join(why) or "There are no DICOM results: these are made of DICOM scans alone."
        return file_of(study, FILES[f"{kind}.dcm"].format(name), missing, _TYPES[".dcm"])

    @app.get("/studies/{study}/seg.dcm", responses=_REFUSALS, response_class=FileResponse)
    def read_segmentation(study: StudyId, request: Request, holder: Holder, scan: Scan = 1) -> FileResponse:
        """The findings as a DICOM segmentation."""
        noted(request, holder, "read the segmentation", study)
        return read_dicom("seg", study, scan)

    @app.get("/studies/{study}/sr.dcm", responses=_REFUSALS, response_class=FileResponse)
    def read_report(study: StudyId, request: Request, holder: Holder, scan: Scan = 1) -> FileResponse:
        """The findings as a DICOM structured report."""
        noted(request, holder, "read the report", study)
        return read_dicom("sr", study, scan)

    @app.get("/studies/{study}/page", responses=_REFUSALS, response_class=FileResponse)
    def read_page(study: StudyId, request: Request, holder: Holder) -> Response:
        """The study's page; of several scans the table of all."""
        page = str(result(study).get("page") or "")
        noted(request, holder, "read the page", study)
        if page == "index.html":  # its links lead from there
            return RedirectResponse(f"/studies/{study}/index.html", 307)
        return file_of(study, "study.html", "This study has no page.", "text/html")

    @app.get("/studies/{study}/{inner:path}", include_in_schema=False)
    def read_inner_page(study: StudyId, inner: str, holder: Holder) -> FileResponse:
        result(study)
        if _PAGE.fullmatch(inner) is None or ".." in inner:
            raise Refused(404, "There is no such page.")
        return file_of(study, inner, "There is no such page.", "text/html")
