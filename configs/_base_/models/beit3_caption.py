# BEiT-3 that writes captions; base at 480: 270,751,754 parameters.
_base_ = './beit3.py'
model = dict(
    data_preprocessor=dict(inputs=dict(text=dict(tokenizer=dict(context_length=32)))),
    fusion=dict(image_size=480, drop_path=0.1),
    decoder=dict(type='mmparts.MultiwayDecoder'),
    objectives=dict(captioning=dict(type='mmparts.MaskedCaptioning', label_smoothing=0.1)),
    inference=dict(
        type='mmparts.Captions', search=dict(type='mmparts.BeamSearch', num_beams=3, max_length=31, length_penalty=0.6)
    ),
)
