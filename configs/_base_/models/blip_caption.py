# BLIP that writes captions. Base at 384: 223,971,644 parameters.
_base_ = './blip.py'
model = dict(
    data_preprocessor=dict(inputs=dict(text=dict(prefix='a picture of '))),
    towers=dict(image=dict(backbone=dict(image_size=384))),
    decoder=dict(type='mmparts.MedDecoder'),
    objectives=dict(captioning=dict(type='mmparts.Captioning', label_smoothing=0.1)),
    inference=dict(
        type='mmparts.Captions', search=dict(type='mmparts.BeamSearch', num_beams=3, max_length=20, min_length=5)
    ),
)
