# A tokenizer of images of 64 pixels: 8x8 patches, 128 codes.
_base_ = './vqkd_tokenizer.py'
visual_tokenizer = dict(
    encoder=dict(arch=dict(_delete_=True, embed_dims=96, num_layers=3, num_heads=4), patch_size=8, image_size=64),
    codebook=dict(num_codes=128, dims=16),
)
