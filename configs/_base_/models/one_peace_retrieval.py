# ONE-PEACE that finds images and texts: both stages' encoder, the contrast alone.
_base_ = './one_peace_pretrain.py'
model = dict(objectives=dict(_delete_=True, contrastive={{_base_.model.objectives.contrastive}}))
