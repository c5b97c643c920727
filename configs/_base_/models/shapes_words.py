# The words of the captions of the generated set "shapes", as a tokenizer that needs no file.
words = (
    *('.', ',', 'a', 'an', 'the', 'and', 'of', 'on', 'in', 'to', 'is'),
    *('no', 'one', 'two', 'three', 'four', 'five', 'six'),
    *('red', 'orange', 'yellow', 'green', 'cyan', 'blue', 'purple', 'pink', 'white', 'black'),
    *('striped', 'dotted', 'checkered', 'shaded', 'speckled', 'large', 'small'),
    *('circle', 'square', 'triangle', 'star', 'ring', 'cross', 'shapes'),
    *('circles', 'squares', 'triangles', 'stars', 'rings', 'crosses'),
    *('sky', 'grass', 'brick', 'wall', 'sand', 'water', 'cloudy', 'against', 'under', 'between', 'front'),
    *('covers', 'part', 'above', 'below', 'left', 'right', 'there', 'nothing', 'but', 'picture', 'without', 'any'),
)
tokenizer = dict(type='mmparts.WordTokenizer', words=words)
