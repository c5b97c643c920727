"""The report of a run: written after validation, true to the metric, whole in one file, usable in a browser."""

import json
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from mmengine.config import Config
from tiny import CONFIGS

from mmparts.engine.reporting import report
from mmparts.engine.reporting.data_summary import doubles
from mmparts.tasks import Classification, Detection, Segmentation
from mmparts.visualization.report import Album


@pytest.fixture(scope='module')
def run(tiny_run):
    return tiny_run


@pytest.fixture(scope='module')
def page(run):
    return (run / 'report.html').read_text()


def test_numbers_are_those_of_the_metric(run, page):
    record = report.read_record(str(run))
    findings = Detection().findings(Detection(), record['evidence'], record['classes'])
    assert len(record['evidence']) == 24 and sum(len(one['true_labels']) for one in record['evidence']) > 24
    for overlap, name in ((None, 'mAP'), (0.5, 'mAP_50'), (0.75, 'mAP_75')):
        assert findings.scores.ap(overlap) == pytest.approx(record['metrics'][f'coco/bbox_{name}'], abs=5.1e-4), name
    assert findings.costs[0] == pytest.approx(findings.scores.ap(0.5), abs=1e-6)  # two programs, one number
    assert f'{record["metrics"]["coco/bbox_mAP"]:.3f}' in page
    told = json.loads((run / 'report.json').read_text())
    assert told['threshold'] == findings.threshold and told['metrics'] == record['metrics']


def test_it_is_one_small_file_that_asks_for_nothing(page):
    assert len(page.encode()) < 5_000_000
    assert (
        not re.findall(r'(?:src|href)="(?!#|data:)', page)
        and '@import' not in page
        and 'http' not in re.sub(r'xmlns(:xlink)?="[^"]*"', '', page)
    )


class Outline(HTMLParser):
    """What a screen reader meets."""

    def __init__(self, text: str):
        super().__init__()
        self.headings, self.ids, self.anchors, self.faults = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        said = dict(attrs)
        self.ids += [said['id']] if 'id' in said else []
        self.anchors += [said['href'][1:]] if said.get('href', '').startswith('#') else []
        self.headings += [tag] if re.fullmatch('h[1-6]', tag) else []
        if tag == 'img' and 'alt' not in said or said.get('role') in ('img', 'region') and not said.get('aria-label'):
            self.faults.append((tag, said))


def test_it_can_be_heard_and_walked_through(page):
    outline = Outline(page)
    assert not outline.faults and len(set(outline.ids)) == len(outline.ids)
    assert set(outline.anchors) <= set(outline.ids) and {'classes', 'errors', 'images', 'commands'} <= set(outline.ids)
    assert outline.headings[0] == 'h1' and outline.headings.count('h1') == 1


def test_others_stand_in_grey_and_configs_are_held_against_each_other(run, tmp_path, run_tool, capsys):
    other = tmp_path / 'other'
    shutil.copytree(run, other)
    record = report.read_record(str(other))
    record['whole_config']['optim_wrapper']['optimizer']['lr'] = 0.125
    report.save_record(str(other), record)
    assert not run_tool('report', run, other, '--out', tmp_path / 'both.html')
    text = (tmp_path / 'both.html').read_text()
    assert 'Where the configs differ' in text and 'optim_wrapper.optimizer.lr' in text and '0.125' in text


def test_a_run_without_a_record_is_validated(run, tmp_path, run_tool):
    other = tmp_path / 'other'
    shutil.copytree(run, other)
    (other / 'report.json.gz').unlink()
    assert not run_tool('report', other, '--checkpoint', other / 'epoch_2.pth')
    assert report.read_record(str(other))['metrics'] == report.read_record(str(run))['metrics']
    assert sorted(path.name for path in other.iterdir()) == sorted(path.name for path in run.iterdir())


def test_a_folder_of_nothing_is_refused(tmp_path, run_tool, capsys):
    assert run_tool('report', tmp_path) == 1
    assert 'no config; it should be a folder that a training wrote' in capsys.readouterr().err


def test_the_config_is_a_difference(tmp_path):
    base = CONFIGS / 'dino/dino-4scale_small_2xb4-7e_shapes.py'
    (tmp_path / 'mine.py').write_text(f'_base_ = {str(base)!r}\nmodel = dict(num_queries=7)\nnobody_reads = 3\n')
    cfg = Config.fromfile(tmp_path / 'mine.py')
    cfg.merge_from_dict({'optim_wrapper.optimizer.lr': 0.5})
    rows = report.config_diff(cfg)
    assert {row[0]: row[1] for row in rows} == {'model.num_queries': '7', 'optim_wrapper.optimizer.lr': '0.5'}


def test_the_decoder_is_looked_into(run):
    seen = report.read_record(str(run))['inspection']
    assert seen['images'] == 4 and len(seen['layers']) == 2 and len(seen['attention']) == 3


# Other tasks


def evidence_of_maps(random: np.random.Generator, shape: tuple, values: int, sample_type, task) -> list[dict]:
    made = []
    for index in range(6):
        truth = torch.from_numpy(random.integers(values, size=shape))
        found = torch.where(torch.from_numpy(random.random(shape)) < 0.8, truth, torch.zeros_like(truth))
        sample = dict(gt_sem_seg=dict(data=truth), pred_sem_seg=dict(data=found), img_path=f'{index}.png')
        made.append(task.evidence(sample, {}))
    return json.loads(json.dumps(made))


@pytest.mark.parametrize('shape', [(1, 12, 16), (1, 4, 12, 16)])
def test_maps_are_counted_as_they_are_and_come_back(shape):
    random, task = np.random.default_rng(0), Segmentation()
    evidence = evidence_of_maps(random, shape, 3, None, task)
    found = task.findings(task, evidence, ['background', 'a', 'b'])
    restored = [task.restored(one) for one in evidence]
    truth, said = (torch.stack([sample.get(key).data for sample in restored]) for key in ('gt_sem_seg', 'pred_sem_seg'))
    both = ((truth == 2) & (said == 2)).sum().item()
    row = found.per_class().blocks[2].rows[2]
    assert row[0] == 'b' and row[1] == 6
    assert row[2] == pytest.approx(both / ((truth == 2) | (said == 2)).sum().item())
    assert row[3] == pytest.approx(2 * both / ((truth == 2).sum() + (said == 2).sum()).item())
    assert np.sum(found.tables) == truth.numel()
    assert [section.key for section in found.sections(Album())] == ['classes', 'confusion', 'images']


def test_regions_that_overlap_are_counted_each():
    task = Segmentation()
    evidence = evidence_of_maps(np.random.default_rng(0), (2, 4, 12, 16), 2, None, task)
    found = task.findings(task, evidence, ['whole', 'core'])
    restored = task.restored(evidence[0])
    both = (restored.gt_sem_seg.data[1] * restored.pred_sem_seg.data[1]).sum().item()
    assert found.tables[0, 1, 0] == both and [one.key for one in found.sections(Album())] == ['classes', 'images']


def test_classes_of_whole_images(tmp_path):
    task, random = Classification(), np.random.default_rng(0)
    evidence, right = [], 0
    for index in range(20):
        scores = torch.from_numpy(random.dirichlet(np.ones(7))).float()
        truth = int(random.integers(7))
        right += int(scores.argmax() == truth)
        evidence.append(task.evidence(dict(pred_scores=scores, gt_label=truth, img_path=f'{index}.png'), {}))
    found = task.findings(task, json.loads(json.dumps(evidence)), None)
    assert found.top(1) == right / 20 and found.table.sum() == 20 and np.diag(found.table).sum() == right
    assert found.quality().argmax() == np.argmax([one['true_score'] if one['place'] == 0 else -1 for one in evidence])
    assert {'classes', 'curves', 'confusion'} <= {section.key for section in found.sections(Album())}


# In a browser


@pytest.fixture(scope='module')
def browser():
    playwright = pytest.importorskip('playwright.sync_api')
    path = shutil.which('chromium') or shutil.which('google-chrome')
    if path is None:
        pytest.skip('no chromium on this machine (apt-get install chromium)')
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=path, args=['--no-sandbox'])
        yield chromium
        chromium.close()


def test_it_works_in_a_browser(run, browser):
    for width, scheme in ((400, 'dark'), (1200, 'light')):
        tab, said, asked = opened(browser, run / 'report.html', width, scheme)
        assert not said and len(asked) == 1
        assert tab.evaluate('document.documentElement.scrollWidth') == width  # nothing runs out of the page
        assert tab.evaluate('[...document.images].filter(one => one.alt && !one.naturalWidth).length') == 0
        assert contrast(tab, 'body') > 7 and contrast(tab, '.note') > 4.5

        tab.keyboard.press('Tab')
        assert tab.evaluate('document.activeElement.className') == 'skip'
        cell = tab.locator('button[data-dialog]').first
        cell.focus()
        tab.keyboard.press('Enter')
        assert tab.evaluate('document.querySelectorAll("dialog[open] img").length') > 0
        tab.keyboard.press('Escape')
        assert tab.evaluate('document.querySelectorAll("dialog[open]").length') == 0
        tab.close()


def opened(browser, path, width: int, scheme: str):
    """The tab, what it said, and the addresses that it asked for."""
    tab, said, asked = browser.new_page(viewport=dict(width=width, height=900), color_scheme=scheme), [], []
    tab.on('console', lambda message: said.append(message.text))
    tab.on('pageerror', lambda error: said.append(str(error)))
    tab.on('request', lambda request: asked.append(request.url) if not request.url.startswith('data:') else None)
    tab.goto(path.as_uri())
    return tab, said, asked


def contrast(tab, selector: str) -> float:
    """Of the letters of an element on the page, as WCAG counts it."""
    script = f"""() => [getComputedStyle(document.querySelector('{selector}')).color,
                         getComputedStyle(document.body).backgroundColor]"""
    lights = []
    for colour in tab.evaluate(script):
        parts = np.array([float(part) for part in re.findall(r'[\d.]+', colour)[:3]]) / 255
        parts = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        lights.append(float(parts @ [0.2126, 0.7152, 0.0722]))
    return (max(lights) + 0.05) / (min(lights) + 0.05)


class Files(list):
    """A data set of files."""

    def get_data_info(self, index):
        return dict(img_path=self[index])


def test_images_that_are_there_twice_are_told(tmp_path):
    paths = {}
    for name, content in dict(a='one', b='two', c='one', d='seven', e='two').items():
        (tmp_path / f'{name}.png').write_text(content)
        paths[name] = str(tmp_path / f'{name}.png')
    training, validation = (Files([paths[name] for name in names]) for names in ('abeb', 'cd'))
    sets = dict(training=training, validation=validation)
    across, within = doubles(sets)
    assert across == [('training', paths['a']), ('validation', paths['c'])]
    assert within == [('training', paths['b']), ('training', paths['e'])], 'a file that is listed twice is one file'
    said = report.twice_said([across, within])
    assert '2 images are there twice' in said and '1 of them in training and validation' in said
    assert 'within one set' in report.twice_said([within]) and not doubles(dict(training=sets['validation']))
