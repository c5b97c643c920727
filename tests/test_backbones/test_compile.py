"""`torch.compile` takes each backbone as one graph in eval, without a break; its maps are those of the bare one."""

import pytest
import torch
from parity import close

from mmparts.analysis.comparisons.backbone_combinations import BACKBONES
from mmparts.registry import MODELS

DINOV3 = dict(BACKBONES['ViT'], class_token=True, num_registers=2, position='rotary', layer_scale=1.0)


@pytest.mark.parametrize('name', [*BACKBONES, 'DINOv3'])
def test_one_graph_in_eval(name):
    torch.manual_seed(0)
    model = MODELS.build(DINOV3 if name == 'DINOv3' else BACKBONES[name]).eval()
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        bare = model(images)
        compiled = torch.compile(model, backend='eager', fullgraph=True)(images)
    for one, other in zip(bare, compiled, strict=True):
        close(name, one, other, 1e-5)
