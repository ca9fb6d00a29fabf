"""The web side of the studio: four kinds of pages, no state in the browser, no script needed.

Nothing is fetched from elsewhere and nothing leaves the machine. A request must come by the name
that the server listens at, and a form from a page of the server's own, so that no page of the
web can use a studio that runs in the background. A report is shown in a frame without rights.
"""

from __future__ import annotations

import contextlib
import shlex
import socket
import threading
import webbrowser
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

import jinja2
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from emulant.app import App, discover, load, nearest, resolve
from emulant.errors import InputError
from emulant.studio.command import StudioConfig
from emulant.studio.jobs import Job, Jobs
from emulant.studio.panel import Panel, Upload

__all__ = ["serve", "studio"]

OWN = "default-src 'none'; style-src 'unsafe-inline'; img-src data: 'self'; script-src 'self'; form-action 'self'; frame-src 'self'; base-uri 'none'"  # noqa: E501
REPORT = "sandbox allow-scripts; default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'unsafe-inline'"  # noqa: E501
HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"}


class _Studio:
    """The pages, over the applications that bring a panel."""

    def __init__(self, apps: Sequence[App], jobs: Jobs, megabytes: float) -> None:
        self.apps = {app.name: app for app in apps}
        self.jobs = jobs
        self.most = int(megabytes * 1e6)
        self.templates = jinja2.Environment(
            loader=jinja2.ChoiceLoader(
                [jinja2.PackageLoader("emulant.studio"), jinja2.PackageLoader("emulant.certify")]
            ),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def page(self, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """Return a page of the studio's own."""
        text = self.templates.get_template(template).render(apps=self.apps.values(), **values)
        return HTMLResponse(text, status, {**HEADERS, "Content-Security-Policy": OWN})

    async def home(self, _: Request) -> Response:
        return self.page("home.html")

    async def panel(self, request: Request) -> Response:
        app, panel = self._asked(request)
        values: Mapping[str, str] = {}
        with contextlib.suppress(InputError):  # a job that has been forgotten
            values = self.jobs.get(request.query_params.get("like", "")).said
        return self.page("panel.html", app=app, panel=panel, values=values, trouble="")

    async def begin(self, request: Request) -> Response:
        """Read a form, make the command lines, start the job and lead to its page."""
        app, panel = self._asked(request)
        _require_own_page(request)
        length = request.headers.get("content-length", "")
        if not length.isdigit() or int(length) > self.most + 100_000:
            raise HTTPException(413, f"a file must be smaller than {self.most / 1e6:g} MB")
        async with request.form(max_files=4, max_fields=100) as form:
            said = {key: value for key, value in form.items() if isinstance(value, str)}
            try:
                job = self.jobs.new(app.name, panel.page, said)
                try:
                    values = await self._values(panel, form, job)
                    job.lines = panel.lines(values, job.directory)
                except InputError:
                    self.jobs.drop(job)
                    raise
            except InputError as error:
                return self.page(
                    "panel.html", 422, app=app, panel=panel, values=said, trouble=str(error)
                )
        self.jobs.start(job)
        return RedirectResponse(request.url_for("job", key=job.key), 303, HEADERS)

    async def job(self, request: Request) -> Response:
        job = self._job(request)
        lines = [_typed(words) for words in job.lines]
        return self.page("job.html", job=job, app=self.apps[job.app], lines=lines)

    async def stop(self, request: Request) -> Response:
        _require_own_page(request)
        job = self._job(request)
        await run_in_threadpool(self.jobs.stop, job)
        return RedirectResponse(request.url_for("job", key=job.key), 303, HEADERS)

    async def file(self, request: Request) -> Response:
        """Return a file of a job: its page to be shown, any other to be kept."""
        job = self._job(request)
        name = request.path_params["name"]
        try:
            path = job.file(name)
        except InputError as error:
            raise HTTPException(404, str(error)) from error
        if name.endswith(".html") and "keep" not in request.query_params:
            return FileResponse(path, headers={**HEADERS, "Content-Security-Policy": REPORT})
        flat = name.replace("/", "-")
        return FileResponse(path, filename=flat, headers=HEADERS)

    async def script(self, _: Request) -> Response:
        text = self.templates.get_template("studio.js").render()
        return Response(text, media_type="text/javascript", headers=HEADERS)

    async def trouble(self, _: Request, error: Exception) -> Response:
        """Say what is wrong, in the studio's own clothes."""
        status = error.status_code if isinstance(error, HTTPException) else 500
        text = error.detail if isinstance(error, HTTPException) else "something broke; see the log"
        return self.page("trouble.html", status, text=text)

    def _asked(self, request: Request) -> tuple[App, Panel]:
        name = request.path_params["app"]
        if name not in self.apps:
            raise HTTPException(404, f"no application '{name[:40]}'; {nearest(name, self.apps)}")
        app = self.apps[name]
        return app, resolve(str(app.studio))

    def _job(self, request: Request) -> Job:
        try:
            return self.jobs.get(request.path_params["key"])
        except InputError as error:
            raise HTTPException(404, str(error)) from error

    async def _values(self, panel: Panel, form: FormData, job: Job) -> dict[str, Any]:
        """Return the value of every control; uploads come to lie in the job's directory."""
        values: dict[str, Any] = {}
        for control in panel.controls:
            sent = form.get(control.name)
            if isinstance(control, Upload):
                values[control.name] = None
                if isinstance(sent, UploadFile) and sent.filename:
                    path = job.directory / f"{control.name}{control.suffix(sent.filename)}"
                    content = await sent.read(self.most + 1)
                    if len(content) > self.most:
                        size = f"{self.most / 1e6:g} MB"
                        raise InputError(f"{control.label}: must be smaller than {size}")
                    path.write_bytes(content)
                    values[control.name] = path
            elif isinstance(sent, str):
                values[control.name] = control.read(sent)
            else:
                raise InputError(f"{control.label}: is missing")
        return values


def _require_own_page(request: Request) -> None:
    """Refuse a form that a page of another origin has sent."""
    origin = request.headers.get("origin")
    own = f"{request.url.scheme}://{request.headers.get('host', '')}"
    if origin is not None and origin != own:
        raise HTTPException(403, "this form does not come from a page of the studio")


def _typed(words: Sequence[str]) -> str:
    """Return a command line as a person would type it.

    >>> _typed(["ising", "sample", "--out", "my states.npz"])
    "emulant ising sample --out 'my states.npz'"
    """
    return shlex.join(["emulant", *words])


def studio(jobs: Jobs, hosts: Sequence[str], megabytes: float = 25.0) -> Starlette:
    """Return the web application; it closes ``jobs`` when it ends.

    Arguments
    ---------
    hosts : names by which a request may call the server.
    megabytes : largest upload.
    """
    apps = [app for app in (load(found.name) for found in discover()) if app.studio]
    pages = _Studio(apps, jobs, megabytes)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(jobs.close)

    trouble: Callable[[Request, Exception], Awaitable[Response]] = pages.trouble
    return Starlette(
        routes=[
            Route("/", pages.home),
            Route("/studio.js", pages.script),
            Route("/jobs/{key}", pages.job, name="job"),
            Route("/jobs/{key}/stop", pages.stop, methods=["POST"]),
            Route("/jobs/{key}/files/{name:path}", pages.file),
            Route("/{app}", pages.panel),
            Route("/{app}", pages.begin, methods=["POST"]),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))],
        exception_handlers={HTTPException: trouble, Exception: trouble},
        lifespan=lifespan,
    )


def serve(config: StudioConfig, said: Callable[[str], None]) -> None:
    """Serve until interrupted; ``said`` hears the address once it is open.

    Raises
    ------
    InputError
        The address cannot be listened at.
    """
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((config.host, config.port))
    except OSError as error:
        listening.close()
        where = f"{config.host}:{config.port}"
        raise InputError(f"--port: cannot listen at {where}, {error.strerror}") from error
    port = listening.getsockname()[1]
    shown = f"[{config.host}]" if ":" in config.host else config.host
    address = f"http://{shown}:{port}/"
    packages = [found.package for found in discover()]
    jobs = Jobs([f"{package}.studio" for package in packages], seconds=60 * config.minutes)
    hosts = ["localhost", "127.0.0.1", "[::1]", config.host]
    application = studio(
        jobs, ["*"] if config.host in ("0.0.0.0", "::") else hosts, config.megabytes
    )
    server = uvicorn.Server(uvicorn.Config(application, log_level="warning", lifespan="on"))
    said(address)
    if config.open:
        threading.Timer(0.5, webbrowser.open, (address,)).start()
    try:
        server.run(sockets=[listening])
    finally:
        listening.close()
