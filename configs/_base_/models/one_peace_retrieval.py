# ONE-PEACE that finds images and texts: contrast alone, and a table of distances for each layer; 2,731,704,193
# parameters.
_base_ = './one_peace_pretrain.py'
model = dict(
    towers=dict(image=dict(layer_tables=True), text=dict(layer_tables=True)),
    fusion=dict(drop_path=0.5),
    objectives=dict(_delete_=True, contrastive={{_base_.model.objectives.contrastive}}),
)
