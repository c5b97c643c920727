# ONE-PEACE that finds sounds and texts: contrast alone, all is trained, and a table of distances for each layer;
# 2,747,412,225 parameters.
_base_ = './one_peace_sound.py'
model = dict(
    towers=dict(audio=dict(layer_tables=True), text=dict(layer_tables=True)),
    fusion=dict(learns=None, drop_path=0.9),
    objectives=dict(_delete_=True, contrastive={{_base_.model.objectives.contrastive}}),
)
