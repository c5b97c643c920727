"""Cards and the map of papers say what metafiles and the package say."""

import re
import shutil
from pathlib import Path

import pytest
import yaml

from mmparts.analysis.tables import paper_map
from mmparts.analysis.tables.model_cards import COLUMNS, card, cards, check_cards, counted, reference, systems, table

ROOT = Path(__file__).resolve().parents[2]
REFERENCES = {
    Path(model['Config']).stem: (model['Config'], *reference(model))
    for members in systems(ROOT).values()
    for model, _ in members
    if 'Reference' in model
}


@pytest.mark.parametrize('name', REFERENCES)
def test_a_model_counts_what_its_reference_counts(name):
    config, count, options = REFERENCES[name]
    assert counted(ROOT / config, options) == count


def test_the_tool_counts_anew():
    (members,) = [members for name, members in systems(ROOT).items() if name == 'Cell-DETR A']
    row = card_of(members, count=True)
    assert row['parameters'] == members[0][0]['Metadata']['Parameters'] == row['reference']
    members[0][0]['Metadata']['Parameters'] = 1
    assert (
        card_of(members, count=True)['parameters'] == row['parameters'] != card_of(members, count=False)['parameters']
    )


def card_of(members, count: bool) -> dict:
    return card('Cell-DETR A', members, ROOT, count)


PARITY = dict(Against='loops', Test='tests/test_one.py', Difference=3e-06)


def model(name: str, **more) -> dict:
    metadata = {'Parameters': 9, 'Training Data': 'shapes (generated)' if 'small' in name else 'COCO'}
    config = f'configs/h_detr/{name}.py'
    return {'Name': name, 'In Collection': 'One', 'Config': config, 'Metadata': metadata, **more}


@pytest.fixture
def repository(tmp_path):
    """Two papers: one with a folder of its own, one that is a choice of parts."""
    (tmp_path / 'projects' / 'detr' / 'h_detr').mkdir(parents=True)
    (tmp_path / 'tests').mkdir()
    (tmp_path / 'tests' / 'test_one.py').touch()
    one = dict(Name='One', Files=['projects/detr/h_detr'], Licence='MIT', Layout='deformable-detr')
    one['Paper'] = dict(URL='https://arxiv.org/abs/2201.1')
    models = [
        model('one_small', Results=[dict(Dataset='shapes', Metrics={'box AP': 5.0, 'PQ': 1.0})]),
        model('one_r50', Reference=dict(Parameters=7, num_classes=91, GMACs='1.5 (64)')),
        model('one_masks', System='One, masks', Parity=PARITY),
    ]
    two = dict(Name='Two', Note='parts of One', Paper=dict(URL='https://arxiv.org/abs/2101.1'))
    for name, meta in (('h_detr', dict(Collections=[one], Models=models)), ('two', dict(Collections=[two], Models=[]))):
        (tmp_path / 'configs' / name).mkdir(parents=True)
        (tmp_path / 'configs' / name / 'metafile.yml').write_text(yaml.safe_dump(meta, sort_keys=False))
    return tmp_path


def test_one_row_for_each_system(repository):
    first, second = cards(repository)
    assert tuple(first) == tuple(second) == COLUMNS
    assert (first['system'], first['config'], first['reference']) == ('One', 'configs/h_detr/one_r50.py', 7)
    assert first['result'] == 'box AP 5.0 on shapes (one_small)' and first['trained_on'] == 'shapes (generated)'
    assert (second['system'], second['held_against'], second['max_difference']) == ('One, masks', 'loops', 3e-06)
    assert second['layout'] == 'deformable-detr' and second['licence'] == 'MIT' and second['result'] is None
    assert first['GMACs'] == '1.5 (64)' and second['GMACs'] is None
    made = table([first, second], repository, repository / 'docs' / 'models.md')
    assert '[one_r50](../configs/h_detr/one_r50.py) | 9 | 7; 1.5 GMACs (64) |' in made and '| 3.0e-06 |' in made


def test_what_is_shipped_is_sound():
    assert not [*check_cards(ROOT)] and not [*paper_map.check_papers(ROOT)]


def problems(root: Path) -> list[str]:
    return [one.problem for check in (check_cards, paper_map.check_papers) for _, one in check(root)]


@pytest.mark.parametrize(
    ('old', 'new', 'problem'),
    [
        ('Layout: deformable-detr', 'Layout: dert', r"Layout is dert; for h_detr there is \['deformable-detr'\]"),
        ('Layout: deformable-detr', 'Layout: dino', 'Layout is dino; for h_detr'),
        ('tests/test_one.py', 'tests/test_two.py', 'test_two.py: no such file'),
        ('Against: loops', 'Against: null', 'nothing of what it is Against'),
        ('- projects/detr/h_detr', '- projects/detr/1', 'projects/detr/1: no such file'),
        ('- projects/detr/h_detr', '- projects', 'Files should name projects/detr/h_detr'),
        ('Note: parts of One', 'Notes: none', 'no file or folder of projects is called two'),
    ],
)
def test_what_is_wrong_is_named(repository, old, new, problem):
    assert not problems(repository)
    for path in (repository / 'configs').glob('*/metafile.yml'):
        path.write_text(path.read_text().replace(old, new))
    assert any(re.search(problem, one) for one in problems(repository)), problems(repository)


def test_the_map_is_by_year_and_links_files_and_configs(repository):
    made = paper_map.table(repository, repository / 'projects' / 'README.md').splitlines()
    assert made[2:] == [
        '| Two | parts of One | [configs/two](../configs/two) |',
        '| One | [detr/h_detr](detr/h_detr) | [configs/h_detr](../configs/h_detr) |',
    ]
    assert paper_map.families(repository, repository / 'README.md').splitlines()[2:] == [
        '| detr | [One](configs/h_detr) |',
        '| others | [Two](configs/two) |',
    ]
    shutil.rmtree(repository / 'projects' / 'detr' / 'h_detr')
    assert problems(repository)
