"""The command of the service."""

from pathlib import Path
from typing import Annotated

import typer

from anomae.cli.app import app
from anomae.cli.options import Device


@app.command()
def serve(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Fitted runs; the first scores what names none.")
    ],
    data: Annotated[Path, typer.Option(help="Folder of the service: studies, results, queue, audit log.")],
    host: Annotated[
        str, typer.Option(help="Address to listen on; any other than this machine's needs --token-file.")
    ] = ("127.0.0.1"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8042,
    token_file: Annotated[
        Path | None, typer.Option(help="File of tokens, a line each: TOKEN or NAME TOKEN.  (default: one is made)")
    ] = None,
    keep: Annotated[str, typer.Option(help="How long studies are kept, such as 12h, 30d, 8w, or forever.")] = "30d",
    upload: Annotated[float, typer.Option(min=0.001, help="Largest upload, GiB; unpacked four times as much.")] = 2.0,
    memory: Annotated[float, typer.Option(min=1, help="Memory of the process that scores, GiB.")] = 8.0,
    minutes: Annotated[float, typer.Option(min=0.01, help="Longest time that a study is scored.")] = 60.0,
    workers: Annotated[int, typer.Option(min=1, help="Processes that score at a time.")] = 1,
    certificate: Annotated[Path | None, typer.Option(help="PEM file of a certificate, for https.")] = None,
    key: Annotated[Path | None, typer.Option(help="PEM file of its key.")] = None,
    device: Device = None,
) -> None:
    """Serve models over HTTP: send studies, read flags, findings, maps and pages.  Needs the extra serve."""
    from anomae.serving.limits import GIB, Limits
    from anomae.serving.serve import serve as service

    limits = Limits(
        upload_bytes=int(upload * GIB),
        unpacked_bytes=int(4 * upload * GIB),
        memory_bytes=int(memory * GIB),
        job_s=minutes * 60,
    )
    service(
        runs,
        data,
        host=host,
        port=port,
        token_file=token_file,
        keep=keep,
        limits=limits,
        device=device,
        workers=workers,
        certificate=certificate,
        key=key,
        tell=lambda sentence: print(sentence, flush=True),
    )
