# BLIP that answers questions: an encoder of image and question, a decoder of the answer. Base at 480: 361,478,972
# parameters.
_base_ = './blip.py'
model = dict(
    data_preprocessor=dict(
        inputs=dict(
            text=dict(tokenizer=dict(context_length=35)),
            answer=dict(
                type='mmparts.TextInputs',
                tokenizer=dict(type='mmparts.BertTokenizer', extra=('[DEC]', '[ENC]'), context_length=35),
            ),
        )
    ),
    towers=dict(image=dict(backbone=dict(image_size=480)), text=dict(type='mmparts.MedTower', memory_dims=768)),
    fusion=dict(type='mmparts.MedFusion'),
    decoder=dict(type='mmparts.MedDecoder', reads=('image', 'text')),
    objectives=dict(captioning=dict(type='mmparts.Captioning', texts='answer', reduction='text', label_smoothing=0.1)),
    inference=dict(
        type='mmparts.WrittenAnswers', search=dict(type='mmparts.BeamSearch', num_beams=3, max_length=10, min_length=2)
    ),
)
