# BLIP as it is pre-trained: contrastive, matching and captioning, encoder and decoder tied. Base at 224: 252,441,919
# parameters that learn.
_base_ = './blip_retrieval.py'
model = dict(
    data_preprocessor=dict(inputs=dict(text=dict(tokenizer=dict(context_length=30)))),
    towers=dict(image=dict(backbone=dict(image_size=224))),
    decoder=dict(type='mmparts.MedDecoder', tie='text'),
    objectives=dict(
        contrastive=dict(keys=dict(by_image=False)),
        matching=dict(negatives=dict(keys='momentum', floor=1e-4, by_image=False)),
        captioning=dict(type='mmparts.Captioning', label_smoothing=0.1),
    ),
)
