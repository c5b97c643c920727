# The tokenizer of BEiT v2, which VQ-KD trains and BEiT-3 takes its visual tokens of: ViT-B/16 to 8,192 codes of 32
# channels, 86,404,640 parameters.
visual_tokenizer = dict(
    type='mmparts.VqkdCodes',
    encoder=dict(type='mmparts.ViT', arch='base', biases=(True, False, True), start='beit', resize='dinov2'),
    codebook=dict(type='mmparts.CodeBook', num_codes=8192, dims=32, decay=0.99),
)
