# A small Perceiver IO that restores generated clips: 8 frames of 32 pixels, a quarter second of sound, six classes.
# Other than the large one it adds the queries to what they find, in several heads, as the small one of flow does.
_base_ = [
    '../_base_/models/perceiver_io_autoencoder.py',
    '../_base_/datasets/clip_files.py',
    '../_base_/schedules/schedule_arrays_small.py',
    '../_base_/classification_runtime.py',
]
heads = dict(qk_dims=128, v_dims=128)
model = dict(
    backbone=dict(
        inputs=dict(
            inputs=dict(
                audio=dict(num_samples=2048, sample_rate=8000, position=dict(num_bands=32, max_resolution=(2048,))),
                image=dict(position=dict(num_bands=8, max_resolution=(8, 8, 8))),
                label=dict(num_classes=6),
            )
        ),
        encoder=dict(num_latents=64, embed_dims=128, num_layers=4, num_heads=4, cross_heads=8, **heads),
        queries=dict(
            queries=dict(
                audio=dict(size=(128,), position=dict(num_bands=32, max_resolution=(2048,))),
                image=dict(size=(8, 32, 32), position=dict(num_bands=8, max_resolution=(8, 32, 32))),
                label=dict(embed_dims=64),
            )
        ),
        decoder=dict(out_dims=128, num_heads=8, query_residual=True, widening=2),
    ),
    num_classes=6,
    points=dict(audio=128, image=512),
    loss_weights=dict(image=1.0, audio=0.3, label=0.03),
    chunks=4,
)
train_dataloader = dict(batch_size=16)
train_cfg = dict(max_epochs=16)
optim_wrapper = dict(optimizer=dict(lr=2e-3))
default_hooks = dict(checkpoint=dict(save_best='video_psnr', rule='greater'))
