"""Fetching published files: several addresses, broken transfers that go on, hashes; and folders to look in before."""

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from .errors import CorruptCheckpoint
from .index import Published

FOLDER_VARIABLE = 'MMPARTS_WEIGHTS'
DEFAULT_FOLDER = 'data/pretrained'  # where the configs look
CHUNK = 1 << 20
TRIES = 3  # of one address, where each goes on after the bytes that are there


class FetchFailed(OSError):
    """No address gave the file; the message has the reason of each, and where to put it by hand."""


def folders() -> list[Path]:
    """Where files are looked for: `MMPARTS_WEIGHTS` (an offline folder), then the place of the configs."""
    given = os.environ.get(FOLDER_VARIABLE)
    return [*([Path(given)] if given else []), Path(DEFAULT_FOLDER)]


def find(name: str) -> Path | None:
    """A published file that is there already."""
    return next((place / name for place in folders() if (place / name).is_file()), None)


Said = Callable[[int, int | None], None]


def fetch(wanted: Published, folder: Path | None = None, seconds: float = 20, said: Said | None = None) -> Path:
    """The path of a published file, fetched where it is not there.

    Args:
        folder: where to put it; None: the first of :func:`folders`.
        seconds: an address that gives nothing for so long counts as slow, and the next is tried.
        said: called with the bytes that are there and those of the whole.

    Raises:
        FetchFailed: no address gave it.
    """
    target = (folder or folders()[0]) / wanted.name
    fault = fault_of(target, wanted) if target.is_file() else ''
    if fault is None:
        return target
    reasons = [f'{target}: {fault}'] if fault else []
    part = target.with_name(f'{target.name}.part')
    for url in wanted.urls:
        reason = asked(url, part, seconds, said)
        if reason is None:
            reason = fault_of(part, wanted)
            if reason is None:
                os.replace(part, target)
                return target
            part.unlink()
        reasons.append(f'{url}: {reason}')
    raise FetchFailed(
        f'{wanted.name} could not be fetched: {"; ".join(reasons) or wanted.note or "no address is known"}. '
        f'Put it by hand to {target}, or set {FOLDER_VARIABLE} to a folder that holds it'
    )


def asked(url: str, part: Path, seconds: float, said: Said | None) -> str | None:
    """Download, several times where that may help; why it failed, if so."""
    for attempt in range(TRIES):
        try:
            return download(url, part, seconds, said)
        except (OSError, HTTPException) as error:
            if gone(error) or attempt + 1 == TRIES:
                return why(error)
            time.sleep(0.2)


def download(url: str, part: Path, seconds: float, said: Said | None) -> None:
    """Fetch ``url`` into ``part``, after the bytes that it holds already.

    Raises:
        OSError, HTTPException: also when fewer bytes came than were said.
    """
    part.parent.mkdir(parents=True, exist_ok=True)
    there = part.stat().st_size if part.is_file() else 0
    request = Request(url, headers={'User-Agent': 'mmparts', **({'Range': f'bytes={there}-'} if there else {})})
    try:
        answer = urlopen(request, timeout=seconds)
    except HTTPError as error:
        if error.code == 416 and there:  # nothing is left to fetch
            return
        raise
    with answer:
        goes_on = answer.status == 206
        there = there if goes_on else 0
        length = answer.headers.get('Content-Length')
        whole = there + int(length) if length else None
        with open(part, 'ab' if goes_on else 'wb') as file:
            for block in blocks(answer):
                file.write(block)
                there += len(block)
                if said is not None:
                    said(there, whole)
    if whole is not None and there < whole:
        raise OSError(f'{there:,} of {whole:,} bytes came')


def blocks(answer) -> Iterator[bytes]:
    while block := answer.read(CHUNK):
        yield block


def gone(error: Exception) -> bool:
    """Whether asking again cannot help."""
    return isinstance(error, HTTPError) and 400 <= error.code < 500 and error.code not in (408, 429)


def why(error: Exception) -> str:
    """The reason in a few words."""
    if isinstance(error, HTTPError):
        return f'answer {error.code} ({error.reason})'
    if isinstance(error, TimeoutError) or isinstance(getattr(error, 'reason', None), TimeoutError):
        return 'no answer in time'
    return str(getattr(error, 'reason', error)) or type(error).__name__


def fault_of(path: Path, wanted: Published) -> str | None:
    """Why a file is not the one that is meant, if so."""
    if wanted.size is not None and path.stat().st_size != wanted.size:
        return f'{path.stat().st_size:,} bytes, and {wanted.size:,} are right'
    digest = sha256(path)
    if not digest.startswith(wanted.sha256):
        return f'sha256 {digest[:16]}..., and {wanted.sha256}... is right'
    with open(path, 'rb') as file:
        if file.read(64).lstrip().lower().startswith((b'<!doctype html', b'<html')):
            return 'a web page in place of the file'
    return None


def sha256(path: Path) -> str:
    """Of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(CHUNK):
            digest.update(block)
    return digest.hexdigest()


def verify(path: Path, wanted: Published) -> None:
    """Raise :class:`CorruptCheckpoint` where a file is not the published one."""
    fault = fault_of(path, wanted)
    if fault:
        raise CorruptCheckpoint(f'{path} is damaged or another file: {fault}. Fetch it again: mmparts weights fetch')
