"""Sentences that are true of a generated image: how many of what, in which colours, where, before what."""

from collections import Counter

import numpy as np

from .scene import Scene, Shape

NUMBERS = ('no', 'one', 'two', 'three', 'four', 'five', 'six')
SINGLE = {
    'sky': 'against a cloudy sky',
    'grass': 'on the grass',
    'brick': 'in front of a brick wall',
    'sand': 'on the sand',
    'water': 'on the water',
}
BEHIND = {'sky': 'under the sky', 'brick': 'in front of a brick wall'}
NOUNS = {'sky': 'a cloudy sky', 'grass': 'grass', 'brick': 'a brick wall', 'sand': 'sand', 'water': 'water'}
LARGE = 1.5  # a shape is called large beside one whose diameter is this many times smaller


def names_only(scene: Scene, rng: np.random.Generator) -> list[str]:
    """What is shown, counted by colour and kind, with textures, and by kind alone; no place and no relations."""
    if not scene.shapes:
        return ['No shapes.']
    textured = Counter(noun(shape) for shape in scene.shapes)
    plain = Counter(f'{shape.colour} {shape.kind}' for shape in scene.shapes)
    kinds = Counter(shape.kind for shape in scene.shapes)
    captions = [f'{enumerate_all(counts)}.' for counts in (plain, textured, kinds)]
    return [caption[0].upper() + caption[1:] for caption in dict.fromkeys(captions)]


def describe(scene: Scene, rng: np.random.Generator) -> list[str]:
    """Two to five different captions: counts by colour, counts by kind, and relations between pairs of shapes."""
    if not scene.shapes:
        view = ' and '.join(NOUNS[name] for name in scene.stuff)
        return [f'There is nothing but {view}.', f'A picture of {view} without any shapes.']
    place = where(scene.stuff)
    by_colour = Counter(noun(shape) for shape in scene.shapes)
    by_kind = Counter(shape.kind for shape in scene.shapes)
    captions = [f'{enumerate_all(by_colour)} {place}.', total(by_kind) + f' {place}.']
    facts = [sentence for sentence in relations(scene) if sentence]
    captions += [facts[i] for i in rng.permutation(len(facts))[:3]]
    return [caption[0].upper() + caption[1:] for caption in dict.fromkeys(captions)]


def where(stuff: list[str]) -> str:
    if len(stuff) == 1:
        return SINGLE[stuff[0]]
    behind, below = stuff
    return f'between {NOUNS[behind]} and {NOUNS[below]}' if below == 'water' else f'{SINGLE[below]} {BEHIND[behind]}'


def noun(shape: Shape) -> str:
    words = [shape.colour, shape.kind] if shape.texture == 'plain' else [shape.texture, shape.colour, shape.kind]
    return ' '.join(words)


def with_article(words: str) -> str:
    return f'{"an" if words[0] in "aeiou" else "a"} {words}'


def plural(words: str) -> str:
    return words + ('es' if words.endswith('s') else 's')


def counted(words: str, count: int) -> str:
    return with_article(words) if count == 1 else f'{NUMBERS[count]} {plural(words)}'


def enumerate_all(counts: Counter) -> str:
    *first, last = (counted(words, count) for words, count in counts.items())
    return f'{", ".join(first)} and {last}' if first else last


def total(by_kind: Counter) -> str:
    count = sum(by_kind.values())
    if len(by_kind) == 1:
        return counted(next(iter(by_kind)), count)
    return f'{NUMBERS[count]} shapes, {enumerate_all(by_kind)},'


def relations(scene: Scene) -> list[str]:
    """One sentence about every pair of shapes that can be told apart by name and are not at the same place."""
    names = [noun(shape) for shape in scene.shapes]
    unique = [i for i, name in enumerate(names) if names.count(name) == 1]
    return [relate(scene, names, i, j) for i in unique for j in unique if j < i]


def relate(scene: Scene, names: list[str], near: int, far: int) -> str | None:
    first, second = scene.shapes[near], scene.shapes[far]
    if (near, far) in scene.hides:
        return f'{with_article(names[near])} covers a part of {with_article(names[far])}.'
    big, small = sorted((near, far), key=lambda i: -scene.shapes[i].diameter)
    if scene.shapes[big].diameter > LARGE * scene.shapes[small].diameter:
        names = {big: f'large {names[big]}', small: f'small {names[small]}'}
    dx, dy = first.x - second.x, first.y - second.y
    if max(abs(dx), abs(dy)) < (first.diameter + second.diameter) / 2:
        return None
    side = ('to the right of' if dx > 0 else 'to the left of') if abs(dx) > abs(dy) else 'below' if dy > 0 else 'above'
    return f'{with_article(names[near])} is {side} {with_article(names[far])}.'


STYLES = dict(sentences=describe, names=names_only)
