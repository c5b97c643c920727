# Small enough for two cores; a config of the generated set writes `model = {{_base_.small_model}}`.
small_model = dict(
    num_classes=6,
    num_queries=30,
    embed_dims=64,
    backbone=dict(
        depth=18,
        base_channels=32,
        frozen_stages=-1,
        norm_cfg=dict(type='BN', requires_grad=True),
        norm_eval=False,
        zero_init_residual=False,
        init_cfg=None,
    ),
    encoder=dict(num_layers=2, num_heads=4, ffn_channels=128),
    decoder=dict(num_layers=2, num_heads=4, ffn_channels=128),
)
