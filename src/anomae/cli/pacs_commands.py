"""Commands beside an archive: pull, watch, receive, send."""

import logging
from pathlib import Path
from typing import Annotated, Any

import typer

from anomae.cli.app import app
from anomae.cli.options import Device, PatientBound, RunFolder, SliceBound, Smoothed, Strict, UidRoot

Url = Annotated[str, typer.Argument(help="DICOMweb of the archive, such as http://127.0.0.1:8042/dicom-web.")]
Out = Annotated[Path, typer.Option(help="Folder for results, and for what was done.")]
Push = Annotated[bool, typer.Option("--push", help="Store segmentations and reports in the archive.")]
TokenFile = Annotated[Path | None, typer.Option(help="File with a bearer token for the archive.")]
User = Annotated[str | None, typer.Option(help="User of the archive, with --password-file.")]
PasswordFile = Annotated[Path | None, typer.Option(help="File with the user's password.")]
Ca = Annotated[Path | None, typer.Option(help="File of certificates to trust.  (default: the system's)")]
TlsCert = Annotated[Path | None, typer.Option(help="Certificate of this node.")]
TlsKey = Annotated[Path | None, typer.Option(help="Its key.")]
TlsCa = Annotated[Path | None, typer.Option(help="Certificates to trust in other nodes.")]
Since = Annotated[str | None, typer.Option(help="Studies of this day and later alone, like 2024-01-31.")]
Threshold = Annotated[
    float | None, typer.Option(help="Flag scans above this score, in place of the threshold from healthy ones.")
]
Overlays = Annotated[int, typer.Option(min=0, help="How many of the highest slices of each scan to draw.")]
Force = Annotated[bool, typer.Option(help="Flag scans too that the model was not made for.")]


@app.command()
def pull(
    url: Url,
    run: RunFolder,
    out: Out,
    study: Annotated[str | None, typer.Option(help="UID of one study.")] = None,
    since: Since = None,
    query: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="A filter of QIDO; may be repeated.")
    ] = None,
    push: Push = False,
    retry: Annotated[bool, typer.Option("--retry", help="Also try studies again that failed.")] = False,
    token_file: TokenFile = None,
    user: User = None,
    password_file: PasswordFile = None,
    ca: Ca = None,
    slice_bound: SliceBound = 0.05,
    patient_bound: PatientBound = 0.10,
    threshold: Threshold = None,
    smoothed: Smoothed = False,
    force: Force = False,
    overlays: Overlays = 8,
    uid_root: UidRoot = None,
    device: Device = None,
    strict: Strict = False,
) -> None:
    """Fetch studies from an archive by DICOMweb and score them.  What was done before is not done again."""
    from anomae.errors import UserError
    from anomae.pacs.pull import pull as work
    from anomae.pacs.query import checked_query
    from anomae.pacs.stopping import stopped_by_signals

    if study is None and since is None and not query:
        raise UserError("Say which studies: --study UID, --since DAY or --query KEY=VALUE.")
    asked = checked_query(study, since, query or [])
    archive = _archive(url, token_file, user, password_file, ca)
    how = _how(run, (slice_bound, patient_bound), threshold, force, overlays, uid_root, device, smoothed)
    with stopped_by_signals() as wish:
        _ended(work(archive, how, out, asked, push=push, retry=retry, wish=wish), out, wish, strict)


@app.command()
def watch(
    url: Url,
    run: RunFolder,
    out: Out,
    push: Push = False,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 30.0,
    since: Since = None,
    token_file: TokenFile = None,
    user: User = None,
    password_file: PasswordFile = None,
    ca: Ca = None,
    slice_bound: SliceBound = 0.05,
    patient_bound: PatientBound = 0.10,
    threshold: Threshold = None,
    smoothed: Smoothed = False,
    force: Force = False,
    overlays: Overlays = 8,
    uid_root: UidRoot = None,
    device: Device = None,
) -> None:
    """Score studies as they come into an archive, until it is stopped (Ctrl-C, SIGTERM)."""
    from anomae.pacs.query import checked_since
    from anomae.pacs.stopping import stopped_by_signals
    from anomae.pacs.watch import watch as work

    day = checked_since(since)
    archive = _archive(url, token_file, user, password_file, ca)
    how = _how(run, (slice_bound, patient_bound), threshold, force, overlays, uid_root, device, smoothed)
    with stopped_by_signals() as wish:
        _ended(work(archive, how, out, push=push, every_s=every, since=day, wish=wish), out, wish)


@app.command()
def receive(
    run: RunFolder,
    out: Out,
    aet: Annotated[str, typer.Option(help="AE title of this node.")],
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port that it listens on.")],
    host: Annotated[
        str, typer.Option(help="Address that it listens on; others than this machine need --allow.")
    ] = "127.0.0.1",
    allow: Annotated[list[str] | None, typer.Option(help="AE title that may send; may be repeated.")] = None,
    quiet: Annotated[
        float, typer.Option(min=0, help="A study is scored when nothing of it has come for so many seconds.")
    ] = 30.0,
    send: Annotated[
        str | None, typer.Option(metavar="HOST:PORT/AET", help="Send segmentations and reports to this node.")
    ] = None,
    send_tls: Annotated[bool, typer.Option("--send-tls", help="Send with TLS too, with the same files.")] = False,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    tls_ca: TlsCa = None,
    slice_bound: SliceBound = 0.05,
    patient_bound: PatientBound = 0.10,
    threshold: Threshold = None,
    smoothed: Smoothed = False,
    force: Force = False,
    overlays: Overlays = 8,
    uid_root: UidRoot = None,
    device: Device = None,
) -> None:
    """Take images by plain DICOM (C-STORE) and score their studies, until it is stopped (Ctrl-C, SIGTERM)."""
    from anomae.errors import UserError
    from anomae.pacs.node import checked_node, checked_title, checked_tls
    from anomae.pacs.receive import Door
    from anomae.pacs.receive import receive as work
    from anomae.pacs.send import Sender
    from anomae.pacs.stopping import stopped_by_signals

    _keep_quiet()
    tls = checked_tls(tls_cert, tls_key, tls_ca)
    if send_tls and (tls is None or send is None):
        raise UserError("--send-tls needs --send and --tls-cert, --tls-key and --tls-ca.")
    title = checked_title(aet)
    door = Door(title, port, host, tuple(checked_title(one) for one in allow or ()), tls, quiet)
    sender = None if send is None else Sender(checked_node(send), title, tls if send_tls else None)
    how = _how(run, (slice_bound, patient_bound), threshold, force, overlays, uid_root, device, smoothed)
    with stopped_by_signals() as wish:
        _ended(work(how, out, door, sender=sender, wish=wish), out, wish)


@app.command()
def send(
    node: Annotated[str, typer.Argument(metavar="HOST:PORT/AET", help="The DICOM node that takes them.")],
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="DICOM files, and folders that hold some.")],
    aet: Annotated[str, typer.Option(help="AE title of this node.")] = "ANOMAE",
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    tls_ca: TlsCa = None,
) -> None:
    """Send DICOM files to another node by plain DICOM (C-STORE): studies, or results of `anomae score --dicom`."""
    from anomae.pacs.node import checked_node, checked_title, checked_tls
    from anomae.pacs.send import Sender
    from anomae.pacs.send_files import send_files

    _keep_quiet()
    sender = Sender(checked_node(node), checked_title(aet), checked_tls(tls_cert, tls_key, tls_ca))
    sent = send_files(sender, paths)
    print(f"Sent: {sent.files} file(s) to {sender.node.name}; not taken: {len(sent.refused)}; no DICOM: {sent.others}.")
    for reason in sent.refused[:20]:
        print(reason)
    if sent.refused:
        raise typer.Exit(2)


def _keep_quiet() -> None:
    """What these libraries log quotes UIDs, addresses with queries in them, and AE titles."""
    for name in ("dicomweb_client", "pynetdicom", "urllib3", "retrying"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def _archive(url: str, token_file: Path | None, user: str | None, password_file: Path | None, ca: Path | None) -> Any:
    from anomae.pacs.connection import read_credentials
    from anomae.pacs.dicomweb import Archive

    _keep_quiet()
    return Archive(url, read_credentials(token_file, user, password_file), ca)


def _how(
    run: Path,
    bounds: tuple[float, float],
    threshold: float | None,
    force: bool,
    overlays: int,
    uid_root: str | None,
    device: str | None,
    smoothed: bool,
) -> Any:
    from anomae.cli.settings import device_settings
    from anomae.pacs.score_study import HowToScore

    chosen = device_settings(device)
    return HowToScore(run, bounds, threshold, force, overlays, uid_root, chosen, smoothed=smoothed)


def _ended(counts: Any, out: Path, wish: Any, strict: bool = False) -> None:
    print(
        f"Studies: {counts.scored} scored, of them flagged: {counts.flagged}; known before: {counts.known}; without "
        f"images to score: {counts.empty}; failed: {counts.failed}; results sent: {counts.sent} file(s)."
    )
    for reason in counts.reasons[:20]:
        print(reason)
    print(f"Worklist: {out / 'studies.csv'} (research only, not for clinical use)")
    if wish.interrupted:
        raise typer.Exit(130)
    if strict and counts.reasons:
        raise typer.Exit(2)
