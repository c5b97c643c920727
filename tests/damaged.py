"""A small whole COCO data set with masks, to be damaged in one place at a time."""

WIDTH, HEIGHT = 40, 60  # portrait: what confuses the two axes must not pass
CONTENT = dict(
    images=[dict(id=i, file_name=f'{i}.png', width=WIDTH, height=HEIGHT) for i in (1, 2)],
    categories=[dict(id=1, name='cell'), dict(id=2, name='dog')],
    annotations=[
        dict(
            id=number,
            image_id=image,
            category_id=category,
            bbox=[4, 30, 20, 25],
            area=500,
            iscrowd=0,
            segmentation=[[4, 30, 24, 30, 24, 55, 4, 55]],
        )
        for number, (image, category) in enumerate([(1, 1), (1, 2), (2, 1)], 1)
    ],
)


def put(where: str, **values):
    """A change: the first item of a list gets these values; ... takes a key away."""

    def change(content):
        for key, value in values.items():
            if value is ...:
                content[where][0].pop(key)
            else:
                content[where][0][key] = value

    return change
