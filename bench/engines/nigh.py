"""nigh's command line: everything counts, from starting Node over reading Parquet to the result written. There is nothing to build.
search: recall or exact, memory (--memory), cpu (NIGH_CPU)."""
import json
import os
import subprocess
import sys
import time

import numpy as np
import pyarrow.parquet as pq
from protocol import serve

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def neighbor_rows(path, k):
    """The ids of the makers' tables are row numbers. A row with fewer neighbors is filled with -1."""
    found = []
    for batch in pq.ParquetFile(path).iter_batches(columns=["neighbors"]):
        lists = batch.column(0)
        counts = lists.value_lengths().to_numpy(zero_copy_only=False)
        part = np.full((len(lists), k), -1, np.int64)
        part[np.arange(k) < counts[:, None]] = lists.flatten().field("neighbor").to_numpy(zero_copy_only=False)
        found.append(part)
    return np.concatenate(found)


class Cli:
    def load(self, task):
        self.task = task
        if not os.path.exists(os.path.join(ROOT, "native", "nigh.node")):
            raise RuntimeError("not built: run `npm run build`")
        return {}

    def build(self, task):
        return {"wall": 0, "cpu": 0, "peakBytes": 0}

    def search(self, task):
        params, t = task["params"], self.task
        out, report = (os.path.join(t["work"], name) for name in ("neighbors.parquet", "report.json"))
        sides = [t["items"]["parquet"], "--self"] if t["queries"] is None else [t["queries"]["parquet"], t["items"]["parquet"]]
        effort = ["--exact"] if params.get("exact") else ["--recall", str(params["recall"])]
        memory = ["--memory", params["memory"]] if "memory" in params else []
        command = ["node", os.path.join(ROOT, "dist", "cli", "main.js"), "join", *sides, "-k", str(t["k"]), "--metric", t["metric"],
                   *effort, *memory, "--threads", str(t["threads"]), "--out", out, "--report", report, "--force", "--quiet"]
        env = {**os.environ, **({"NIGH_CPU": params["cpu"]} if "cpu" in params else {})}
        start = time.perf_counter()
        child = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        message = child.stderr.read()
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise RuntimeError(message.strip()[-500:] or f"exit status {child.returncode}")
        np.save(task["out"], neighbor_rows(out, t["k"]))
        with open(report) as f:
            said = json.load(f)
        about = {name: said["plan"].get(name) for name in ("method", "precision", "level", "effort")}
        return {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "peakBytes": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
                "calls": 1, "stages": said["seconds"], "plan": about, "reported": said["recall"]}


serve(Cli())
