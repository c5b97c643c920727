"""Where the tensors of a :class:`Bert` stand in the files of BERT, BLIP, VisualBERT and transformers, whose names are
the same."""

from collections.abc import Collection

from ..weights.keys import Rule

QKV = ('query', 'key', 'value')


def bert_rules(theirs: str, ours: str = '') -> list[Rule]:
    """Ours after the prefix ``ours`` (a regular expression without groups), of what follows ``theirs``."""
    layer = theirs + r'encoder.layer.\1.'
    rules = [
        Rule(ours + r'embeddings\.words\.weight', [theirs + 'embeddings.word_embeddings.weight']),
        Rule(ours + r'embeddings\.positions\.weight', [theirs + 'embeddings.position_embeddings.weight']),
        Rule(ours + r'embeddings\.types\.weight', [theirs + 'embeddings.token_type_embeddings.weight']),
        Rule(ours + r'embeddings\.norm\.(weight|bias)', [theirs + r'embeddings.LayerNorm.\1']),
    ]
    start = ours + r'layers\.(\d+)\.'
    for kind in ('weight', 'bias'):
        for own, official in (('attn', 'attention'), ('cross_attn', 'crossattention')):
            whole, each = f'in_proj_{kind}', [f'{layer}{official}.self.{name}.{kind}' for name in QKV]
            rules += [
                Rule(rf'{start}{own}\.part\.{whole}', each, joined=True),
                *[Rule(rf'{start}{own}\.part\.{name[0]}_proj\.{kind}', [source]) for name, source in zip(QKV, each)],
                Rule(rf'{start}{own}\.part\.out_proj\.{kind}', [f'{layer}{official}.output.dense.{kind}']),
                Rule(rf'{start}{own}\.norm\.{kind}', [f'{layer}{official}.output.LayerNorm.{kind}']),
            ]
        rules += [
            Rule(rf'{start}mlp\.part\.fc1\.{kind}', [f'{layer}intermediate.dense.{kind}']),
            Rule(rf'{start}mlp\.part\.fc2\.{kind}', [f'{layer}output.dense.{kind}']),
            Rule(rf'{start}mlp\.norm\.{kind}', [f'{layer}output.LayerNorm.{kind}']),
            *twin_rules(start, layer, kind),
        ]
    return rules


def twin_rules(start: str, layer: str, kind: str) -> list[Rule]:
    """Of :class:`TwinAttention`."""
    rules = [Rule(rf'{start}cross_attn\.part\.merge\.{kind}', [f'{layer}crossattention.output.merge_layer.{kind}'])]
    for index in (0, 1):
        ours, theirs = rf'{start}cross_attn\.part\.twins\.{index}\.', f'{layer}crossattention.self{index}.'
        each = [f'{theirs}{name}.{kind}' for name in QKV]
        rules += [
            Rule(rf'{ours}in_proj_{kind}', each, joined=True),
            *[Rule(rf'{ours}{name[0]}_proj\.{kind}', [source]) for name, source in zip(QKV, each)],
            Rule(rf'{ours}out_proj\.{kind}', [f'{layer}crossattention.output.dense{index}.{kind}']),
        ]
    return rules


def word_head_rules(state: Collection[str], theirs: str, ours: str = '') -> list[Rule]:
    """Of a :class:`WordHead`; ``theirs`` is 'cls.predictions.' in most files, some of which hold the bias twice."""
    biases = [theirs + name for name in ('bias', 'decoder.bias') if theirs + name in state]
    return [
        Rule(ours + r'dense\.(weight|bias)', [theirs + r'transform.dense.\1']),
        Rule(ours + r'norm\.(weight|bias)', [theirs + r'transform.LayerNorm.\1']),
        Rule(ours + r'decoder\.weight', [theirs + 'decoder.weight']),
        Rule(ours + r'decoder\.bias', biases or [theirs + 'bias']),
    ]
