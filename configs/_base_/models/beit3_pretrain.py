# BEiT-3 in pre-training: masked data modelling of texts, images and pairs; base 276,510,730 parameters. The paper's
# visual tokens are those of BEiT v2's tokenizer (8,192), `vqkd_tokenizer.py`; a config gives them as `codes`.
_base_ = './beit3.py'
model = dict(
    fusion=dict(drop_path=0.1),
    objectives=dict(masked=dict(type='mmparts.MaskedData', num_codes=8192)),
    inference=dict(type='mmparts.FilledWords'),
)
