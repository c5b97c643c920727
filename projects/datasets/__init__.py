"""Data sets, their checks, and the generated set "shapes"."""

from .annotations import BadAnnotations
from .arrays import ClipFiles, FlowPairs, SetFiles, TextFiles
from .augment import ColorJitter, RandomAreaCrop, RandomBoxNoise, RandomChanges, RandomImageBlur
from .bad_images import BadImagesHook, NamedImages
from .captions import CaptionPairs, CocoCaptions, ImageTextFolder, KarpathyCaptions, LargestObject
from .check_classes import CheckClassesHook, ClassNamesHook
from .coco import CheckedCocoDataset, ClassMismatch
from .cubes import CubeDataset, LoadCube
from .entities import Flickr30kEntities, PackPhrases
from .folders import ImageFolders, PackImage
from .loading import BadImage, LoadCheckedImage
from .mosaic import TileMosaic
from .pack_multimodal import PackMultimodal
from .pack_questions import OnBothImages, PackImagePair, PackQuestion
from .panoptic import CheckedPanopticDataset
from .patches import AnnotatedPatches, CutPatches, PackPatches, RandomPatchBoxes
from .proposals import ProposalBoxes, ProposalFile, RegionProposals, SelectiveSearch, write_proposals
from .questions import Nlvr2Sentences, VqaQuestions
from .referring import NamedObjects, ReferredObjects
from .region_files import LoadRegions
from .root import merge_options, set_data_root
from .segments import LoadForeground, LoadPanopticMap, PanopticInstances, SemanticInstances
from .shapes import make_shapes
from .sound import DrawDigit, LabelledSounds, LoadSound, SoundTexts, SpokenDigits
from .tars import LoadTarImage, TarPairs
from .tiles import cut_tiles
from .unlabelled import UnlabelledImages
from .vcr import VcrChoices
from .volumes import VolumeDataset

__all__ = [
    'CocoCaptions',
    'ImageTextFolder',
    'KarpathyCaptions',
    'LabelledSounds',
    'LargestObject',
    'LoadTarImage',
    'PackMultimodal',
    'Nlvr2Sentences',
    'OnBothImages',
    'PackImagePair',
    'PackQuestion',
    'PackPhrases',
    'Flickr30kEntities',
    'VcrChoices',
    'LoadRegions',
    'DrawDigit',
    'LoadSound',
    'SoundTexts',
    'SpokenDigits',
    'CaptionPairs',
    'VqaQuestions',
    'TarPairs',
    'ClipFiles',
    'FlowPairs',
    'SetFiles',
    'TextFiles',
    'AnnotatedPatches',
    'ColorJitter',
    'ImageFolders',
    'PackImage',
    'RandomChanges',
    'RandomImageBlur',
    'RandomAreaCrop',
    'RandomBoxNoise',
    'BadAnnotations',
    'BadImage',
    'BadImagesHook',
    'NamedImages',
    'NamedObjects',
    'CheckClassesHook',
    'CheckedCocoDataset',
    'ClassNamesHook',
    'CheckedPanopticDataset',
    'ClassMismatch',
    'CubeDataset',
    'TileMosaic',
    'CutPatches',
    'LoadCheckedImage',
    'LoadCube',
    'LoadForeground',
    'LoadPanopticMap',
    'PackPatches',
    'PanopticInstances',
    'ProposalBoxes',
    'ProposalFile',
    'RandomPatchBoxes',
    'ReferredObjects',
    'RegionProposals',
    'SelectiveSearch',
    'SemanticInstances',
    'UnlabelledImages',
    'VolumeDataset',
    'cut_tiles',
    'make_shapes',
    'merge_options',
    'set_data_root',
    'write_proposals',
]
