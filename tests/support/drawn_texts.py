"""Find texts of a figure that leave the page or cover each other."""

import numpy as np
from matplotlib.text import Text


def texts_of(canvas):
    """Return the texts on the page, without labels of ticks beyond the axis, which matplotlib does not draw."""
    hidden = set()
    for ax in canvas.axes:
        for axis in (ax.xaxis, ax.yaxis):
            ticks = axis._update_ticks() if ax.axison else []
            shown = {id(label) for tick in ticks for label in (tick.label1, tick.label2)}
            hidden |= {id(label) for label in axis.get_ticklabels(which="both")} - shown
    texts = canvas.findobj(lambda artist: isinstance(artist, Text) and id(artist) not in hidden)
    return [text for text in texts if text.get_visible() and text.get_text().strip()]


def problems_of(canvas):
    """Return what is wrong with the texts of a figure that was drawn: texts that leave the page or touch."""
    page = canvas.bbox
    boxes = [(text.get_text(), text.get_window_extent(), text.get_rotation()) for text in texts_of(canvas)]
    found = [
        f"{text!r} leaves the page"
        for text, box, _ in boxes
        if box.x0 < page.x0 - 1 or box.x1 > page.x1 + 1 or box.y0 < page.y0 - 1 or box.y1 > page.y1 + 1
    ]
    level = [(text, box) for text, box, rotation in boxes if not rotation]
    edges = np.array([[box.x0, box.y0, box.x1, box.y1] for _, box in level])
    across = np.minimum(edges[:, None, 2], edges[None, :, 2]) - np.maximum(edges[:, None, 0], edges[None, :, 0])
    up = np.minimum(edges[:, None, 3], edges[None, :, 3]) - np.maximum(edges[:, None, 1], edges[None, :, 1])
    # boxes include room for ascenders and descenders: a fifth of a line may be shared
    tall = np.minimum.outer(edges[:, 3] - edges[:, 1], edges[:, 3] - edges[:, 1])
    clash = np.triu((across > 1) & (up > 0.3 * tall), k=1)
    return found + [f"{level[i][0]!r} covers {level[j][0]!r}" for i, j in np.argwhere(clash)]
