"""1,000,000 patches of 16 x 16 pixels x 3 colors, uint8, of the two photographs that scikit-learn carries; half of them mirrored.

Every patch is another place or its mirror image (there are 1,030,000): near ones are the same place a pixel aside.
"""
import numpy as np
from sklearn.datasets import load_sample_images
from tables import write_parquet

ROWS = 1_000_000
SIDE = 16


def make(folder, rows):
    images = load_sample_images().images
    height, width, _ = images[0].shape
    shape = (2, 2, height - SIDE + 1, width - SIDE + 1)
    places = np.random.default_rng(3).permutation(np.prod(shape))[:ROWS]
    views = [
        np.lib.stride_tricks.sliding_window_view(image[:, ::step], (SIDE, SIDE), axis=(0, 1)) for image in images for step in (1, -1)
    ]
    image, mirrored, y, x = np.unravel_index(places, shape)
    patches = np.empty((ROWS, SIDE * SIDE * 3), np.uint8)
    for v, view in enumerate(views):
        mine = np.flatnonzero(2 * image + mirrored == v)
        # A window is color x row x column.
        patches[mine] = view[y[mine], x[mine]].transpose(0, 2, 3, 1).reshape(len(mine), -1)
    write_parquet(f"{folder}/items.parquet", patches)
