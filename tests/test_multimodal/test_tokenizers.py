"""Tokenizers against the numbers of the official codes, and what they say of files and texts that do not fit."""

import gzip
import io

import parity
import pytest
from vocabs import BERT, CLIP, vocabulary

from mmparts.multimodal.tokenizers import (
    BertTokenizer,
    ByteTokenizer,
    ClipTokenizer,
    Gpt2Tokenizer,
    RobertaTokenizer,
    SentencePieceTokenizer,
    WordTokenizer,
)

FROM_FILES = (ClipTokenizer, BertTokenizer, Gpt2Tokenizer, RobertaTokenizer, SentencePieceTokenizer)
STRINGS = [
    'a diagram',
    'Hello, world! naïve café',
    "It's 10's of \n things &amp;amp; <b>x</b> 12345 … don't 中文 日本語 🙂🙂 I’ll",
    '',
    'ﬁ µ ½ ① x_y--z ###',
    'the İstanbul ẞ',
    'a ' * 100,
]


def test_clip_has_the_published_numbers():
    tokenizer = ClipTokenizer(vocabulary(CLIP))
    assert tokenizer.framed('a diagram').ids == [49406, 320, 22697, 49407]
    hello = [49406, 3306, 267, 1002, 256, 1097, 35689, 563, 15304, 49407]
    assert tokenizer.framed('Hello, world! naïve café').ids == hello
    assert tokenizer.framed('Hello, world! naïve café').words == [-1, 0, 1, 2, 3, 4, 4, 4, 5, -1]
    assert tokenizer.decode(hello) == 'hello , world ! naïve café'


def test_clip_parity_open_clip():
    theirs = parity.reference('open_clip').get_tokenizer('ViT-B-32')
    tokenizer = ClipTokenizer(vocabulary(CLIP))
    for text in STRINGS:
        ids = tokenizer.framed(text).ids
        assert ids + [0] * (77 - len(ids)) == theirs([text])[0].tolist(), text


def test_bert_parity_transformers():
    theirs = parity.reference('transformers').BertTokenizer(vocabulary(BERT))
    tokenizer = BertTokenizer(vocabulary(BERT))
    for text in [*STRINGS, 'unaffable [MASK] dogs']:
        assert tokenizer.framed(text).ids == theirs(text)['input_ids'], text


def test_bert_words_and_added_tokens():
    tokenizer = BertTokenizer(vocabulary(BERT), extra=('[DEC]', '[ENC]'))
    assert (tokenizer.vocab_size, tokenizer.id_of('[DEC]'), tokenizer.id_of('[ENC]')) == (30524, 30522, 30523)
    pieces = tokenizer.framed('naïve unaffable, dogs')
    assert pieces.words == [-1, 0, 1, 1, 1, 2, 3, -1]
    assert tokenizer.decode([30522, *pieces.ids]) == 'naive unaffable, dogs'


@pytest.fixture(scope='module')
def byte_pairs(tmp_path_factory):
    """vocab.json and merges.txt, learned on a few lines."""
    from tokenizers import ByteLevelBPETokenizer

    folder = tmp_path_factory.mktemp('gpt2')
    trained = ByteLevelBPETokenizer()
    special = ['<s>', '<pad>', '</s>', '<unk>']
    trained.train_from_iterator(
        ['hello world, the dogs are here'] * 3, 290, special_tokens=special, show_progress=False
    )
    trained.add_special_tokens(['<mask>'])
    trained.save_model(str(folder))
    return folder / 'vocab.json', trained.get_vocab_size() - 1


def test_gpt2_parity_transformers(byte_pairs):
    path, size = byte_pairs
    theirs = parity.reference('transformers').GPT2Tokenizer(
        str(path), str(path.with_name('merges.txt')), unk_token='<s>'
    )
    tokenizer = Gpt2Tokenizer(str(path), vocab_size=size)
    for text in STRINGS:
        assert tokenizer.pieces(text).ids == theirs(text)['input_ids'], text
        assert tokenizer.decode(tokenizer.pieces(text).ids) == text
    assert (
        tokenizer.pieces('the dogs here').words == [0] * 1 + [1] * 1 + [2] * 1
        or max(tokenizer.pieces('a b').words) == 1
    )


def test_roberta_parity_transformers(byte_pairs):
    path, size = byte_pairs
    theirs = parity.reference('transformers').RobertaTokenizer(str(path), str(path.with_name('merges.txt')))
    tokenizer = RobertaTokenizer(str(path), vocab_size=size, add_prefix_space=False)
    for text in STRINGS[:-1]:
        assert tokenizer.framed(text).ids == theirs(text)['input_ids'], text
    assert RobertaTokenizer(str(path), vocab_size=size, frame=False).framed('dogs').ids[0] > 3


def test_sentencepiece_has_the_numbers_of_fairseq(tmp_path):
    sentencepiece = pytest.importorskip('sentencepiece')
    model = io.BytesIO()
    lines = ['hello world the dogs are here', 'a red circle and two blue squares on the grass'] * 5
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, vocab_size=40, hard_vocab_limit=False, minloglevel=3
    )
    path = tmp_path / 'toy.spm'
    path.write_bytes(model.getvalue())
    engine = sentencepiece.SentencePieceProcessor(model_file=str(path))
    tokenizer = SentencePieceTokenizer(str(path), vocab_size=len(engine) + 2)
    pieces = tokenizer.framed('the red dogs')
    assert pieces.ids == [0, *(each + 1 for each in engine.encode('the red dogs')), 2]
    assert pieces.words[0] == -1 and sorted(set(pieces.words[1:-1])) == [0, 1, 2]
    assert tokenizer.mask_id == len(engine) + 1
    assert tokenizer.framed('Q').ids[-2] == 3 and tokenizer.decode(pieces.ids) == 'the red dogs'
    with pytest.raises(ValueError, match=f'toy.spm holds {len(engine) + 2} tokens, SentencePieceTokenizer is for 20'):
        SentencePieceTokenizer(str(path), vocab_size=20).framed('a')


def test_bytes_parity_transformers():
    theirs = parity.reference('transformers').PerceiverTokenizer()
    for text in STRINGS:
        assert ByteTokenizer().framed(text).ids == theirs(text)['input_ids'], text
        assert ByteTokenizer().decode(ByteTokenizer().framed(text).ids) == text


def test_long_texts_are_cut_and_keep_their_end_or_are_refused():
    tokenizer = ByteTokenizer(context_length=6)
    assert tokenizer.framed('abcdefgh').ids == [4, *(ord(letter) + 6 for letter in 'abcd'), 5]
    with pytest.raises(ValueError, match="'abcdefgh' has 8 tokens, at most 4 fit into context_length=6"):
        ByteTokenizer(context_length=6, too_long='refuse').framed('abcdefgh')
    with pytest.raises(ValueError, match="too_long='trim' is unknown"):
        ByteTokenizer(too_long='trim')


def test_a_batch_is_padded_to_its_longest():
    texts = ByteTokenizer()(['ab', 'abcd'])
    assert texts.ids.shape == (2, 6) and texts.keep.sum(1).tolist() == [4, 6]
    assert texts.ids[0, 4:].tolist() == [0, 0] and texts.words[0, 4:].tolist() == [-1, -1]


@pytest.mark.parametrize(
    'kind', [ClipTokenizer, BertTokenizer, Gpt2Tokenizer, RobertaTokenizer, SentencePieceTokenizer]
)
def test_a_missing_file_is_named_with_where_from_and_where_it_was_looked_for(kind, tmp_path, monkeypatch):
    monkeypatch.setenv('MMPARTS_VOCABS', str(tmp_path))
    tokenizer = kind(vocab='none/missing.txt')  # known without its file
    assert tokenizer.vocab_size > 1000
    with pytest.raises(FileNotFoundError) as refused:
        tokenizer.framed('a')
    said = str(refused.value)
    assert (
        kind.__name__ in said
        and 'https://' in said
        and f'{tmp_path}/missing.txt' in said
        and 'none/missing.txt' in said
    )


def test_the_folder_of_the_environment_is_used(tmp_path, monkeypatch):
    (tmp_path / 'vocab.txt').write_text('nothing\n')
    monkeypatch.setenv('MMPARTS_VOCABS', str(tmp_path))
    with pytest.raises(ValueError, match='vocab.txt holds 1 tokens, BertTokenizer is for 30522: another vocabulary'):
        BertTokenizer('somewhere/vocab.txt').framed('a')


def test_damaged_merges_are_named_with_their_line(tmp_path):
    path = tmp_path / 'merges.gz'
    with gzip.open(path, 'wt') as file:
        file.write('#version\n' + 'a b\n' * 3 + 'a b c\n')
    with pytest.raises(ValueError, match="merges.gz:5 is 'a b c', not two tokens"):
        ClipTokenizer(str(path)).framed('a')
    path.write_text('no archive')
    with pytest.raises(ValueError, match='is no gzipped list of merges'):
        ClipTokenizer(str(path)).framed('a')


def test_words_of_a_list():
    tokenizer = WordTokenizer(('a', 'red', 'ring', '.', "it's"), context_length=7, extra=('[DEC]',))
    ids = tokenizer.framed("A red [MASK]. It's").ids
    assert ids == [2, 5, 6, 4, 8, 9, 3] and tokenizer.decode(ids) == "a red. it's"
    assert tokenizer.framed('a dog [SEP] a').ids == [2, 5, 1, 3, 5, 3] and tokenizer.framed('a dog').words == [
        -1,
        0,
        1,
        -1,
    ]
    assert tokenizer.vocab_size == 11 and tokenizer.id_of('[DEC]') == 10
    for wrong, why in ((('a', 'a'), "'a' is there twice"), (('red ring',), "'red ring' is no single word")):
        with pytest.raises(ValueError, match=why):
            WordTokenizer(wrong)


def test_the_list_of_the_generated_set_has_all_its_words():
    import numpy as np
    from mmengine.config import Config

    from mmparts.datasets.shapes.captions import STYLES
    from mmparts.datasets.shapes.scene import sample_scene
    from mmparts.registry import TASK_UTILS

    tokenizer = TASK_UTILS.build(Config.fromfile('configs/_base_/models/shapes_words.py').tokenizer)
    for seed in range(150):
        rng = np.random.default_rng(seed)
        scene = sample_scene(rng, 64, 48, empty=seed % 20 == 0)
        for text in [text for style in STYLES.values() for text in style(scene, rng)]:
            ids = tokenizer.framed(text).ids
            assert tokenizer.unk_id not in ids, text
            assert tokenizer.decode(ids) == text.lower()
