"""What a run says and writes at its start, in measure.

mmengine prints some 500 lines (environment, config, hooks) before the first loss; here they stay in the log file. It
writes the config to the work dir in every run, also in one that evaluates or resumes, with what its command line set;
here the record of the training stays, and the others lie beside their own logs.
"""

import logging
import os
import os.path as osp

from mmengine.logging import MMLogger
from mmengine.model import BaseModule
from mmengine.runner import Runner

from .resuming.lock import checkpoints_of

# How records begin that the log file alone keeps.
LONG = ('System environment:', 'Config:', 'Hooks will be executed in the following order:')
# Remarks within mmengine, of which a user can do nothing.
INNER = (
    '"FileClient" will be deprecated',
    '"HardDiskBackend" is the alias',
    'Distributed training is not used, all Sync',
)

_build_logger, _dump_config = Runner.build_logger, Runner.dump_config
_dump_init_info = BaseModule._dump_init_info


class ShortConsole(logging.Filter):
    """Prints one line in place of all that is long."""

    def __init__(self, handler: logging.Handler, log_file: str):
        super().__init__()
        self.handler, self.log_file, self.said = handler, log_file, False

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage().lstrip('-\n ')
        if text.startswith(INNER):
            return False
        if not text.startswith(LONG):
            return True
        if not self.said:
            self.said = True
            line = logging.makeLogRecord(vars(record))
            line.msg, line.args = f'environment, config and hooks stand in {self.log_file}', ()
            self.handler.emit(line)
        return False


def build_logger(self: Runner, *args, **kwargs):
    """mmengine's, with a console that is kept short."""
    logger = _build_logger(self, *args, **kwargs)
    files = [each for each in logger.handlers if isinstance(each, logging.FileHandler)]
    for handler in logger.handlers:
        if files and isinstance(handler, logging.StreamHandler) and handler not in files:
            handler.addFilter(ShortConsole(handler, osp.relpath(files[0].baseFilename)))
    return logger


def dump_config(self: Runner) -> None:
    """mmengine's, unless it would write over the record of a training that has left checkpoints."""
    name = osp.basename(self.cfg.filename or f'{self.timestamp}.py')
    if not osp.exists(osp.join(self.work_dir, name)) or not checkpoints_of(self.work_dir):
        _dump_config(self)
        return
    os.makedirs(self._log_dir, exist_ok=True)
    self.cfg.dump(osp.join(self._log_dir, name))


def dump_init_info(self: BaseModule) -> None:
    """mmengine's, where the logger has a file; else it would print three lines for each parameter."""
    if any(isinstance(each, logging.FileHandler) for each in MMLogger.get_current_instance().handlers):
        _dump_init_info(self)


def install() -> None:
    """Put this under mmengine's runner and models."""
    BaseModule._dump_init_info = dump_init_info
    Runner.build_logger, Runner.dump_config = build_logger, dump_config
