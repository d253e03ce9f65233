"""Makers that stand beside the project, in ../shared/data: photo-sift and the two mixtures."""
import glob
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
MAKERS = os.path.join(HERE, "..", "..", "..", "shared", "data")


def run(maker, *arguments):
    path = os.path.join(MAKERS, maker)
    if not os.path.exists(path):
        raise FileNotFoundError(f"the maker of this data, ../shared/data/{maker} beside the project, is not here")
    subprocess.run([sys.executable, path, *map(str, arguments)], check=True, stdout=sys.stderr)


def photo_sift(folder, rows):
    run("make_photo_sift.py", folder, 1_000_000)
    for side in ("items", "queries"):
        os.replace(f"{folder}/photo-sift-{side}.parquet", f"{folder}/{side}.parquet")


def mixture(kind):
    def make(folder, rows):
        # The maker goes by whole 100,000 rows: a longer table starts with the shorter one.
        run("make_mixture.py", folder, kind, max(rows, 1_000_000))
        os.replace(glob.glob(f"{folder}/mixture-*.parquet")[0], f"{folder}/items.parquet")
    return make
