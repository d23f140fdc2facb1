"""/console: the page to watch a memory at work, with every file from this server.

The page is plain files, served as they are. Its policy is stricter than the other pages': no
style and no picture from anywhere but here, so that a fact that tries to be markup stays text.
"""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse

router = APIRouter(include_in_schema=False)

_FOLDER = Path(__file__).parents[1] / "console"
_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
_FILES = {path.name: path for path in _FOLDER.iterdir() if path.suffix in _TYPES}
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; object-src 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "Cache-Control": "no-cache",  # asked for again at every visit, sent again only when changed
}


@router.get("/console")
async def console() -> FileResponse:
    return _reply(_FILES["index.html"])


@router.get("/console/{name}")
async def console_file(name: str) -> FileResponse:
    if name not in _FILES:
        raise HTTPException(404, "there is no such file")
    return _reply(_FILES[name])


def _reply(path: Path) -> FileResponse:
    return FileResponse(path, media_type=_TYPES[path.suffix], headers=_HEADERS)
