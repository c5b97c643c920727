"""Errors as a user reads them: one message that says what was got and what would be right, the traceback on demand."""

import os.path as osp
import re
import traceback

PACKAGE = osp.dirname(osp.dirname(osp.abspath(__file__)))

# Messages of libraries (patterns) -> what they mean for a user.
KNOWN = (
    (r'Torch not compiled with CUDA|no CUDA GPUs are available|CUDA driver', 'no GPU can be used here: --device cpu'),
    (r'invalid device ordinal', 'there is no GPU of that number; torch.cuda.device_count() tells how many there are'),
    (r'(CUDA|MPS).*out of memory|OutOfMemory', 'the GPU is full: a smaller batch_size, smaller images, or --amp'),
    (
        r'DefaultCPUAllocator: can.t allocate',
        'the memory is full: a smaller batch_size, smaller images or fewer workers',
    ),
    (r'No space left on device', 'the disk is full'),
    (r'Address already in use', 'the port is taken: PORT=... sets another'),
    (r'unable to open shared memory|Bus error|shm', 'shared memory is full: fewer num_workers, or a larger /dev/shm'),
    (r'Default process group has not been initialized', 'start it by tools/dist_train.sh, or leave --launcher out'),
)


def explain(error: BaseException) -> str:
    """The message of an error: its words, what they mean where that is known, else where it was raised."""
    text, kind = words(error), type(error).__name__
    for pattern, meaning in KNOWN:
        if re.search(pattern, f'{kind}: {text}'):
            return f'{meaning} ({first_line(text)})'
    if foreseen(error):
        return text or kind
    return f'{kind}: {text or "without a word"}{place(error)}'


def words(error: BaseException) -> str:
    """What an error says, without what data workers put around it."""
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    if text.startswith('Caught ') and 'Original Traceback' in text:
        # The last line of a traceback that begins with the kind of the error, and all that follows it.
        starts = [match.end() for match in re.finditer(r'^(?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*: ', text, re.MULTILINE)]
        text = text[starts[-1] :] if starts else text
        text = re.sub(r'^During handling of.*', '', text, flags=re.DOTALL | re.MULTILINE)
    return text.strip()


def first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), '')[:200]


def foreseen(error: BaseException) -> bool:
    """Whether a line of ours raised it on purpose: its message is made for the user."""
    frames = traceback.extract_tb(error.__traceback__)
    if str(error).startswith('Caught '):
        return str(error).rpartition('File "')[2].startswith(PACKAGE)
    return bool(frames) and osp.abspath(frames[-1].filename).startswith(PACKAGE) and 'raise' in (frames[-1].line or '')


def place(error: BaseException) -> str:
    """', at FILE:LINE' of the last line of a config or of ours that led there."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if osp.abspath(frame.filename).startswith(PACKAGE)] or frames
    return f' ({osp.relpath(ours[-1].filename)}:{ours[-1].lineno})' if ours else ''


def config_place(error: BaseException) -> str:
    """' (FILE:LINE)' of the line of a config, or of a base, that raised; empty where the error does not tell."""
    if isinstance(error, SyntaxError):
        return f' (line {error.lineno})' if error.lineno else ''
    last = traceback.extract_tb(error.__traceback__)[-1]
    return '' if 'mmengine' in last.filename else f' ({last.filename}:{last.lineno})'
