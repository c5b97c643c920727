"""Small texts models that the tests of the multimodal family share, and transformers' beside them."""

import parity
import torch

from mmparts.multimodal.bert import Bert, WordHead
from mmparts.multimodal.checkpoint_bert import bert_rules, word_head_rules
from mmparts.weights.keys import draw

ARCH = dict(embed_dims=32, num_layers=3, num_heads=4)
VOCABULARY, MEMORY = 50, 24


def random_(module, seed=0):
    """All parameters away from their simple starts."""
    torch.manual_seed(seed)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return module.eval()


def ours(**kwargs):
    words = dict(arch=ARCH, vocab_size=VOCABULARY, max_length=40, num_types=0, memory_dims=MEMORY, dropout=0.0)
    return random_(Bert(**{**words, **kwargs}))


def theirs():
    transformers = parity.reference('transformers')
    from transformers.models.blip.modeling_blip_text import BlipTextLMHeadModel

    config = transformers.BlipTextConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        encoder_hidden_size=MEMORY,
        intermediate_size=128,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=40,
        is_decoder=True,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        bos_token_id=48,
        sep_token_id=49,
        eos_token_id=49,
        pad_token_id=0,
    )
    return random_(BlipTextLMHeadModel(config))


def filled(bert, head, peer):
    """Ours with the weights of transformers'."""
    whole = peer.state_dict()
    for model, rules, prefix in (
        (bert, bert_rules('bert.'), 'bert.'),
        (head, word_head_rules(whole, 'cls.predictions.'), 'cls.'),
    ):
        state = {name: tensor for name, tensor in whole.items() if name.startswith(prefix)}
        made = draw(state, model, rules, {r'.*position_ids': 'computed'})
        assert not (made.missing or made.refused or made.unexpected)
        model.load_state_dict(made.state)


def pair():
    bert, peer = ours(), theirs()
    head = WordHead(32, VOCABULARY)
    filled(bert, head, peer)
    return bert, head.eval(), peer
