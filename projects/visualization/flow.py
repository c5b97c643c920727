"""Flow as colours: direction as hue, speed as saturation, as in "A database and evaluation methodology for optical
flow" (https://doi.org/10.1007/s11263-010-0390-2), whose wheel gives each colour its own number of steps."""

import numpy as np

STEPS = dict(red_yellow=15, yellow_green=6, green_cyan=4, cyan_blue=11, blue_magenta=13, magenta_red=6)
CORNERS = np.array([(1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 1, 1), (0, 0, 1), (1, 0, 1), (1, 0, 0)], float)


def wheel() -> np.ndarray:
    """N 3, the colours around the circle, 0 to 1."""
    parts = [
        CORNERS[i] + (CORNERS[i + 1] - CORNERS[i]) * np.arange(count)[:, None] / count
        for i, count in enumerate(STEPS.values())
    ]
    return np.concatenate(parts)


def flow_colours(flow: np.ndarray, fastest: float | None = None) -> np.ndarray:
    """2 H W in pixels (right, down) -> H W 3, RGB, uint8; no motion is white.

    Args:
        fastest: speed of full colour; None: the greatest of the field. Faster ones are darkened.
    """
    right, down = flow.astype(float)
    speed = np.hypot(right, down)
    speed = speed / max(fastest if fastest is not None else speed.max(initial=0), 1e-6)
    colours = wheel()
    place = (np.arctan2(-down, -right) / np.pi + 1) / 2 * (len(colours) - 1)
    first = place.astype(int)
    share = (place - first)[..., None]
    colour = (1 - share) * colours[first] + share * colours[(first + 1) % len(colours)]
    inside = (speed <= 1)[..., None]
    colour = np.where(inside, 1 - speed[..., None] * (1 - colour), 0.75 * colour)
    return (255 * colour).round().astype(np.uint8)
