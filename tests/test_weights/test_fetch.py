"""Published files from a server that is good, truncates, lies, has lost the file or sleeps."""

import contextlib
import hashlib
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from mmdet.models.backbones import ResNet
from mmengine.config import Config

from mmparts.commands import weights
from mmparts.engine import outside
from mmparts.weights.errors import CorruptCheckpoint
from mmparts.weights.fetch import FetchFailed, fetch, find, verify
from mmparts.weights.index import Published, published

CONTENT = bytes(range(256)) * 5000
DIGEST = hashlib.sha256(CONTENT).hexdigest()
ROOT = Path(__file__).resolve().parents[2]


class Server(BaseHTTPRequestHandler):
    """/good; /ranges; /truncated breaks off after a third each time; /wrong; /page; /gone; /slow."""

    asked: list[tuple[str, str | None]] = []

    def do_GET(self):
        kind, wanted = self.path.strip('/'), self.headers.get('Range')
        self.asked.append((kind, wanted))
        if kind == 'gone':
            self.send_error(404)
            return
        if kind == 'slow':
            time.sleep(1.5)
        start = int(wanted[6:-1]) if wanted and kind in ('ranges', 'truncated') else 0
        body = {'wrong': b'x' * 100, 'page': b'<!DOCTYPE html><p>Log in</p>'}.get(kind, CONTENT)[start:]
        self.send_response(206 if start else 200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body[: len(CONTENT) // 3 + 1] if kind == 'truncated' else body)

    def log_message(self, *args):
        pass


@pytest.fixture(scope='module')
def address():
    server = ThreadingHTTPServer(('127.0.0.1', 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f'http://127.0.0.1:{server.server_port}'
    server.shutdown()


@pytest.fixture(autouse=True)
def nothing_asked():
    Server.asked.clear()


def entry(address: str, *kinds: str, **options) -> Published:
    return Published('a.pth', 'MIT', tuple(f'{address}/{kind}' for kind in kinds), **{'sha256': DIGEST[:8], **options})


def test_a_good_file_is_fetched_once(address, tmp_path):
    path = fetch(entry(address, 'good'), tmp_path)
    assert path.read_bytes() == CONTENT and path == tmp_path / 'a.pth'
    assert fetch(entry(address, 'good'), tmp_path) == path and len(Server.asked) == 1
    assert [each.name for each in tmp_path.iterdir()] == ['a.pth']


def test_a_broken_transfer_goes_on_where_it_broke(address, tmp_path):
    said = []
    path = fetch(entry(address, 'truncated'), tmp_path, said=lambda done, whole: said.append((done, whole)))
    third = len(CONTENT) // 3 + 1
    assert path.read_bytes() == CONTENT
    assert [wanted for _, wanted in Server.asked] == [None, f'bytes={third}-', f'bytes={2 * third}-']
    assert said[-1] == (len(CONTENT), len(CONTENT))


def test_a_part_of_an_earlier_run_is_used_and_a_server_without_ranges_begins_anew(address, tmp_path):
    (tmp_path / 'a.pth.part').write_bytes(CONTENT[:1000])
    assert fetch(entry(address, 'ranges'), tmp_path).read_bytes() == CONTENT
    assert Server.asked == [('ranges', 'bytes=1000-')]
    (tmp_path / 'a.pth').unlink()
    (tmp_path / 'a.pth.part').write_bytes(b'other')
    assert fetch(entry(address, 'good'), tmp_path).read_bytes() == CONTENT


def test_mirrors_are_tried_and_all_reasons_are_in_one_message(address, tmp_path):
    assert fetch(entry(address, 'gone', 'wrong', 'slow', 'good'), tmp_path, 0.3).read_bytes() == CONTENT
    with pytest.raises(FetchFailed) as error:
        fetch(entry(address, 'gone', 'wrong', 'slow'), tmp_path / 'new', 0.3)
    text = str(error.value)
    assert '/gone: answer 404' in text and '/wrong: sha256 ' in text and f'{DIGEST[:8]}... is right' in text
    assert '/slow: no answer in time' in text and f'Put it by hand to {tmp_path / "new" / "a.pth"}' in text
    assert not (tmp_path / 'new' / 'a.pth').exists()


@pytest.mark.parametrize(('kind', 'words'), [('page', 'a web page'), ('wrong', '100 bytes, and 7 are right')])
def test_what_is_no_such_file_is_refused_without_a_hash(address, tmp_path, kind, words):
    size = 7 if kind == 'wrong' else None
    with pytest.raises(FetchFailed, match=words):
        fetch(entry(address, kind, sha256='', size=size), tmp_path)


def test_an_offline_folder_comes_first(tmp_path, monkeypatch):
    monkeypatch.setenv('MMPARTS_WEIGHTS', str(tmp_path))
    (tmp_path / 'a.pth').write_bytes(CONTENT)
    nowhere = Published('a.pth', 'MIT', ('http://127.0.0.1:9/a.pth',), DIGEST[:8])
    assert find('a.pth') == fetch(nowhere) == tmp_path / 'a.pth'
    (tmp_path / 'a.pth').write_bytes(b'x')
    with pytest.raises(CorruptCheckpoint, match='is damaged or another file: sha256'):
        verify(tmp_path / 'a.pth', nowhere)
    with pytest.raises(FetchFailed, match=r'a\.pth: sha256 .* refused'):
        fetch(nowhere)


def test_the_index_is_whole():
    for name, each in published().items():
        assert name.endswith(('.pth', '.safetensors', '.npz')) and each.licence
        assert each.urls or each.note
        assert all(url.startswith('https://') and url.split('/')[-1] == name for url in each.urls)
        assert not each.config or (ROOT / 'configs' / each.config).is_file(), each.config
        if '-' in name and not each.sha256:
            assert not name.split('-')[-1].split('.')[0].isalnum() or len(name.split('-')[-1]) != 12


def test_published_files_that_configs_start_from_are_in_the_index():
    text = ''.join(path.read_text(encoding='utf-8') for path in (ROOT / 'configs').rglob('*.py'))
    sources = set(re.findall(r"checkpoint ?= ?'((?:data/pretrained/|torchvision://)[^']+)'", text))
    known = {source for source in sources if outside.entry_of(source) is not None}
    assert len(known) >= 12 and not [source for source in sources - known if source.startswith('torchvision')]


def test_needs_of_a_config_are_found_with_the_option_that_goes_without():
    backbone = dict(type='ResNet', init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50'))
    cfg = Config(dict(model=dict(type='X', backbone=backbone), load_from='a/own.pth', resume=False))
    first, second = outside.needs(cfg)
    assert first.without() == '--cfg-options model.backbone.init_cfg=None' and second.published is None
    assert first.published.name == 'resnet50-0676ba61.pth' and first.published.sha256 == '0676ba61'
    with pytest.raises(outside.Lacking, match='load_from: there is no file a/own.pth; put it there') as error:
        outside.require(cfg, fetches=False)
    assert 'mmparts weights fetch resnet50-0676ba61.pth' in str(error.value)


def test_torchvision_weights_are_read_without_torchvision(tmp_path, monkeypatch):
    state = ResNet(18, base_channels=8).state_dict()
    torch.save(state, tmp_path / 'resnet18-f37072fd.pth')
    monkeypatch.setenv('MMPARTS_WEIGHTS', str(tmp_path))
    monkeypatch.setitem(sys.modules, 'torchvision', None)
    model = ResNet(18, base_channels=8, init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet18'))
    model.init_weights()
    assert torch.equal(model.conv1.weight, state['conv1.weight'])
    with pytest.raises(outside.Lacking, match="no weights called 'resnet51'"):
        outside.entry_of('torchvision://resnet51')


def test_command(address, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr('mmparts.weights.index.published', lambda: {'a.pth': entry(address, 'good')})
    for action, words in (
        ('list', ['a.pth', 'MIT', '/good']),
        ('fetch', [f'{tmp_path / "a.pth"} (MIT)']),
        ('verify', ['hash as published']),
        ('list', [f'there: {tmp_path / "a.pth"}']),
    ):
        assert weights.main(weights.parser().parse_args([action, 'a.pth', '--dir', str(tmp_path)])) == 0
        shown = capsys.readouterr().out
        assert all(word in shown for word in words)
    (tmp_path / 'a.pth').write_bytes(b'x')
    assert weights.main(weights.parser().parse_args(['verify', '--dir', str(tmp_path)])) == 1
    with pytest.raises(SystemExit, match='no published file is called b'):
        weights.main(weights.parser().parse_args(['fetch', 'bbb']))
