"""Pages of the site that are made: one for each folder of configs (its README), one for each part of the package.

Links that leave the documentation (to code, configs, data) become the names of the files.
"""

import os
import re
from pathlib import Path

import yaml
from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r'(!?)\[([^\]]*)\]\(([^)\s]+)\)')
# What the reference shows: the parts that a user names or calls.
MODULES = {
    'Detection parts': (
        'detr.detector', 'detr.encoder', 'detr.queries', 'detr.decoder', 'detr.attention', 'detr.references',
        'detr.head', 'detr.branches', 'detr.terms', 'detr.matching', 'detr.selection', 'detr.denoising', 'detr.groups',
        'detr.h_detr', 'detr.roles', 'detr.structures',
    ),
    'Backbones': (
        'backbones.swin', 'backbones.swin_v2', 'backbones.vit', 'backbones.vit_adapter', 'backbones.intern_image',
    ),
    'Segmentation and classification': (
        'segment.segmentor', 'segment.heads', 'segment.inference', 'segment.terms', 'classify.classifier',
        'classify.heads',
    ),
    'Data and metrics': (
        'datasets.coco', 'datasets.loading', 'evaluation.coco_metric', 'evaluation.detection_errors',
        'evaluation.panoptic_quality', 'evaluation.top_k', 'evaluation.volumetric.metric',
    ),
    'Around training': (
        'engine.checkpoints.checkpoint_hook', 'engine.initialisation.fine_tune', 'engine.initialisation.freeze',
        'engine.optim.paramwise', 'engine.faults.nan_guard', 'engine.reporting.report_hook',
        'engine.reporting.report', 'engine.val_loop', 'engine.views', 'engine.faults.interrupt',
    ),
    'Using a model': (
        'inference.detector', 'inference.inferencer', 'inference.predictions', 'inference.video',
        'tasks.base',
    ),
    'Operators': ('ops.deform_attn.api', 'ops.deform_attn.fused', 'ops.dcnv3.api', 'ops.nms.api', 'ops.roi_align.api'),
}  # fmt: skip


def on_config(config):
    """The package under its name, where the reference looks for it."""
    folder = ROOT / '.cache' / 'api'
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / 'mmparts'
    if not link.exists():
        link.symlink_to(os.path.relpath(ROOT / 'projects', folder), target_is_directory=True)
    return config


def on_files(files, config):
    """Add the pages that are made, and the images of the READMEs."""
    made = {**model_pages(), **reference_pages()}
    for path, content in made.items():
        files.append(File.generated(config, path, content=content))
    for image in sorted((ROOT / 'configs').glob('*/*.png')):
        files.append(File.generated(config, f'models/{image.parent.name}/{image.name}', abs_src_path=str(image)))
    return files


def model_pages() -> dict[str, str]:
    """Path -> text: the READMEs of the configs, and a list of them by year."""
    pages, rows = {}, []
    for readme in sorted((ROOT / 'configs').glob('*/README.md')):
        name = readme.parent.name
        pages[f'models/{name}/index.md'] = readme.read_text(encoding='utf-8')
        collection = metafile(readme.parent)
        title = pages[f'models/{name}/index.md'].lstrip().splitlines()[0].lstrip('# ')
        rows.append((collection.get('Paper', {}).get('Title', ''), title, name))
    lines = ['# Model pages', '', 'One for each paper: configs, numbers, what is held against what.', '']
    lines += [f'* [{title}]({name}/index.md)' + (f': {paper}' if paper else '') for paper, title, name in rows]
    pages['models/index.md'] = '\n'.join(lines) + '\n'
    return pages


def metafile(folder: Path) -> dict:
    """The first collection of a folder's metafile.yml."""
    path = folder / 'metafile.yml'
    content = yaml.safe_load(path.read_text(encoding='utf-8')) if path.exists() else {}
    collections = content.get('Collections') if isinstance(content, dict) else None
    return collections[0] if collections else {}


def reference_pages() -> dict[str, str]:
    """Path -> text: a page for each group of modules, with what their docstrings say."""
    pages, lines = {}, ['# Reference', '', 'From the docstrings of the code.', '']
    for title, modules in MODULES.items():
        name = re.sub(r'\W+', '_', title.lower())
        body = [f'# {title}', '']
        for module in modules:
            body += [f'::: mmparts.{module}', '']
        pages[f'api/{name}.md'] = '\n'.join(body)
        lines.append(f'* [{title}]({name}.md): {", ".join(f"`{module}`" for module in modules)}')
    pages['api/index.md'] = '\n'.join(lines) + '\n'
    return pages


def on_page_markdown(markdown, page, config, files):
    """Links to files that are not on the site say where the file is."""
    home = Path(page.file.src_uri).parent
    origin = ROOT / 'configs' / home.name if home.parts[:1] == ('models',) else ROOT / 'docs' / home

    def shown(match) -> str:
        mark, text, target = match.groups()
        if re.match(r'[a-z]+:', target) or target.startswith('#'):
            return match[0]
        path, _, anchor = target.partition('#')
        inside = os.path.normpath(home / path)
        if files.get_file_from_path(inside):
            return match[0]
        place = os.path.relpath(os.path.normpath(origin / path), ROOT)
        folder = place.split('/')
        page_of = f'models/{folder[1]}/index.md' if folder[0] == 'configs' and len(folder) > 1 else ''
        if files.get_file_from_path(page_of) and (len(folder) == 2 or folder[-1] == 'README.md'):
            return f'{mark}[{text}]({os.path.relpath(page_of, home)})'
        if place.startswith('docs/') and files.get_file_from_path(place[len('docs/') :]):
            to = os.path.relpath(place[len('docs/') :], home)
            return f'{mark}[{text}]({to}{"#" + anchor if anchor else ""})'
        return text if text.strip('`') in place else f'{text} (`{place}`)'

    return LINK.sub(shown, markdown)
